"""Damaged images, odd arrays and malformed requests to a model server, in every signature."""

import threading

import grpc
import numpy as np

from keras_seg.errors import InputError
from keras_seg.serving import Client, ServerError
from keras_seg.serving.protocol import PredictRequest, PredictResponse, arrays, predict_request
from tests.attack.case import ANSWERED, REFUSED, Case, pick, refusal
from tests.attack.mutations import mutated
from tests.attack.pictures import images
from tests.serving.helpers import NAME, encoded, picture, strings
from tests.serving.test_malformed import ENCODED, FLIPS, MALFORMED, OUTPUTS

IN_CHILD, NEEDS_SERVER, COUNT, SECONDS = False, True, 5000, 60.0
AT_ONCE = 4
GOOD = encoded(picture(24, 40))
REFUSALS = (3, 5, 13)  # INVALID_ARGUMENT, NOT_FOUND, INTERNAL: of this request alone
_EVERY = 100  # Requests, after which the good image is asked for again.
_METHODS = {
    "bytes": Client.mask,
    "confidence": Client.confident_mask,
    "overlay": Client.overlay,
    "tiled": Client.tiled_mask,
}
_local = threading.local()
_good_masks = {}  # Of each server, what it answered first.
_names = tuple(MALFORMED)


def case(random, number):
    """The malformed requests first; then damaged images, and some arrays of odd shapes."""
    if number < len(_names):
        title = _names[number]
        return _case(title, *MALFORMED[title])
    if random.random() < 0.05:
        signature = pick(random, ("serving_default", "logits"))
        shape = random.integers(0, 9, int(random.integers(3, 6)))
        shape[-1] = pick(random, (3, 3, 3, 1, 4))
        return _case(f"{signature}: {shape}", signature, {"images": random.integers(0, 256, shape, np.uint8)})
    known = [contents for name, contents in images().items() if "TIFF" not in name]
    title, signature = pick(random, [name for name in images() if "TIFF" not in name]), pick(random, ENCODED)
    inputs = {"image_bytes": strings(mutated(images()[title], random, known))}
    if signature == "tiled":
        inputs["flips"] = FLIPS
    return _case(f"{signature}: damaged {title}", signature, inputs)


def _case(title, signature, inputs):
    return Case(title, predict_request(NAME, signature, inputs).SerializeToString(), ".pb")


def ask(case, place):
    """Sends a request; the mask of an image is measured by the client, as every user's is."""
    client, predict = _connection(place.grpc)
    request = PredictRequest.FromString(case.contents)
    signature, image = request.model_spec.signature_name, _only_image(request)
    try:
        if image is not None:
            _METHODS[signature](client, image)
        else:
            _check(request, signature, PredictResponse.FromString(predict(case.contents, timeout=SECONDS)))
    except InputError as error:
        assert not isinstance(error, ServerError) or error.code in REFUSALS, error
        return refusal(error)
    except grpc.RpcError as error:
        assert error.code().value[0] in REFUSALS, error.details()
        return REFUSED
    finally:
        _local.asked = getattr(_local, "asked", 0) + 1
        if _local.asked % _EVERY == 0:
            check_good(place)
    return ANSWERED


def memory(place):
    """Bytes of what is attacked."""
    return place.server_memory()


def check_good(place):
    """Checks that a sound image still gets the mask that it always got."""
    mask = _connection(place.grpc)[0].mask(GOOD)
    np.testing.assert_array_equal(mask, _good_masks.setdefault(place.grpc, mask))


def _connection(address):
    """A client for each thread, and the bare method behind it."""
    if getattr(_local, "address", None) != address:
        _local.address = address
        _local.channel = grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)])
        _local.client = Client(address, NAME, timeout=SECONDS, retries=0)
    return _local.client, _local.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")


def _only_image(request):
    """The image of a request that is in order but for it, else None."""
    tensor, signature = request.inputs["image_bytes"], request.model_spec.signature_name
    if signature not in _METHODS or [dim.size for dim in tensor.tensor_shape.dim] != [1] or tensor.dtype != 7:
        return None
    inputs = {
        "image_bytes": strings(*tensor.string_val),
        **({"flips": FLIPS} if signature == "tiled" else {}),
    }
    same = predict_request(NAME, signature, inputs).inputs
    return tensor.string_val[0] if dict(same) == dict(request.inputs) else None


def _check(request, signature, response):
    found = arrays(response)
    assert set(found) >= set(OUTPUTS[signature]), list(found)
    if "images" in request.inputs:
        shape = tuple(dim.size for dim in request.inputs["images"].tensor_shape.dim)
        for name, array in found.items():
            assert array.shape[:3] == shape[:3], f"{name} is {array.shape} of images {shape}"
