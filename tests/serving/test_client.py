"""The client: its messages against the official ones, what it makes of failures, and its pixels."""

import contextlib
import subprocess
import sys
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import grpc
import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.errors import InputError
from keras_seg.inference import Predictor, predict_files
from keras_seg.serving import Client, ServerError
from keras_seg.serving.protocol import PredictResponse, arrays, predict_request
from tests.serving.helpers import (
    CLASSES,
    COLORS,
    NAME,
    encoded,
    exported,
    free_port,
    picture,
    running_server,
    strings,
    turned_jpeg,
)

predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
IMAGE, PIXEL = picture(40, 56), np.zeros((1, 1, 3), np.uint8)
VALUES = {
    "uint8": IMAGE[None],
    "float32": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3),
    "int32": np.array([[-5, 7]], np.int32),
    "int64": np.array([2**40, -1]),
    "bool": np.array([True, False]),
    "object": strings(b"\xff\0text", b""),
}


@pytest.mark.parametrize("kind", VALUES)
def test_requests_are_read_by_the_official_messages(kind):
    import tensorflow as tf

    ours = predict_request("model", "bytes", {"x": VALUES[kind]}, ("mask_bytes",))
    official = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
    assert (official.model_spec.name, official.model_spec.signature_name) == ("model", "bytes")
    assert list(official.output_filter) == ["mask_bytes"]
    np.testing.assert_array_equal(tf.make_ndarray(official.inputs["x"]), VALUES[kind])


@pytest.mark.parametrize("kind", VALUES)
def test_official_answers_are_read_in_both_of_their_forms(kind):
    import tensorflow as tf

    field = {"float32": "float_val", "int64": "int64_val", "bool": "bool_val", "object": "string_val"}
    packed = tf.make_tensor_proto(VALUES[kind])
    one_by_one = type(packed)(dtype=packed.dtype, tensor_shape=packed.tensor_shape)
    getattr(one_by_one, field.get(kind, "int_val")).extend(VALUES[kind].ravel().tolist())
    for proto in (packed, one_by_one):
        official = predict_pb2.PredictResponse(outputs={"x": proto})
        (found,) = arrays(PredictResponse.FromString(official.SerializeToString())).values()
        np.testing.assert_array_equal(found, VALUES[kind])
        assert found.dtype == VALUES[kind].dtype


def test_a_last_value_stands_for_all_that_follow():
    official = predict_pb2.PredictResponse()
    tensor = official.outputs["x"]
    tensor.dtype = 4
    tensor.tensor_shape.dim.add(size=5)
    tensor.int_val.extend([1, 200])
    found = arrays(PredictResponse.FromString(official.SerializeToString()))
    assert found["x"].tolist() == [1, 200, 200, 200, 200]


@contextlib.contextmanager
def grpc_server(predict, port=0):
    """A server of the official service; but for `labels`, Predict is a function of (request, context)."""
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            is_labels = request.model_spec.signature_name == "labels"
            return labels() if is_labels else predict(request, context)

    lifted = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(16), options=lifted)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def labels():
    import tensorflow as tf

    classes, colors = (
        tf.make_tensor_proto([[b"a", b"b", b"c"]]),
        tf.make_tensor_proto(np.eye(3, dtype="u1")[None]),
    )
    return predict_pb2.PredictResponse(outputs={"classes": classes, "colors": colors})


def masks(count=1, side=1):
    import tensorflow as tf

    zeros = tf.make_tensor_proto(np.zeros((count, side, side), np.uint8))
    return predict_pb2.PredictResponse(outputs={"mask": zeros, "confidence": zeros})


def test_a_server_that_is_busy_is_asked_again():
    calls = []

    def predict(_request, context):
        calls.append(time.monotonic())
        if len(calls) < 4:
            context.abort(grpc.StatusCode.UNAVAILABLE, "queue full")
        return masks()

    with grpc_server(predict) as address, Client(address, NAME) as client:
        assert client.predict(PIXEL).mask.shape == (1, 1)
    pauses = np.diff(calls)
    assert len(calls) == 4
    assert (pauses > 0.5 * np.array([0.1, 0.2, 0.4])).all()  # Half of each pause is left to chance.


def test_a_server_that_starts_late_is_found():
    port = free_port()
    with Client(f"127.0.0.1:{port}", NAME) as client, futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(client.predict, PIXEL)
        time.sleep(0.5)
        with grpc_server(lambda *_: masks(), port):
            assert answer.result().mask.shape == (1, 1)


FAILURES = {
    "UNAVAILABLE": ("cannot be reached (the reason); start it, or check the host and port", 3),
    "INVALID_ARGUMENT": ("refuses the request (the reason); see docs/reference/signatures.md", 1),
    "NOT_FOUND": ("does not have the model (the reason); name it as HOST:PORT/MODEL", 1),
    "RESOURCE_EXHAUSTED": ("is out of memory for the request (the reason); send smaller images", 1),
    "UNIMPLEMENTED": (
        "does not speak TensorFlow Serving's protocol (the reason); check the host and port",
        1,
    ),
    "INTERNAL": ("failed (the reason); its log says more", 1),
}


@pytest.mark.parametrize("status", FAILURES)
def test_each_failure_is_one_clear_line(status):
    calls = []

    def predict(_request, context):
        calls.append(1)
        context.abort(grpc.StatusCode[status], "{{function_node f}} the reason\n\t [[{{node f}}]]")

    text, tries = FAILURES[status]
    with (
        grpc_server(predict) as address,
        Client(address, NAME, retries=2) as client,
        pytest.raises(ServerError) as caught,
    ):
        client.predict(PIXEL)
    assert str(caught.value).startswith(f"{address}: {text}")
    assert "\n" not in str(caught.value) and isinstance(caught.value, InputError)
    assert len(calls) == tries


def test_an_answer_that_takes_too_long_is_an_error_and_not_asked_for_again():
    calls = []

    def predict(_request, _context):
        calls.append(1)
        time.sleep(0.6)
        return masks()

    with (
        grpc_server(predict) as address,
        Client(address, NAME, timeout=0.2) as client,
        pytest.raises(ServerError, match=r"gave no answer in time .*--timeout"),
    ):
        client.predict(PIXEL)
    assert len(calls) == 1


def test_messages_may_be_larger_than_grpc_allows_by_itself():
    with grpc_server(lambda *_: masks(side=2048)) as address, Client(address, NAME) as client:
        assert client.predict(np.zeros((2048, 2048, 3), np.uint8)).mask.shape == (2048, 2048)


def test_several_requests_are_in_flight_and_answers_come_in_order():
    lock, waiting, most = threading.Lock(), 0, 0

    def predict(request, _context):
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
        side = request.inputs["images"].tensor_shape.dim[1].size
        time.sleep(0.02 * (10 - side))  # The later, the sooner it is answered.
        with lock:
            waiting -= 1
        return masks(side=side)

    with grpc_server(predict) as address, Client(address, NAME, in_flight=3) as client:
        images = [np.zeros((side, side, 3), np.uint8) for side in range(1, 10)]
        sides = [answer.mask.shape[0] for _, answer in client.map(client.predict, images)]
    assert sides == list(range(1, 10))
    assert most == 3


@pytest.mark.parametrize("address", ["localhost", "localhost:x/m", "ftp://localhost:1/m", ":8500/m", ""])
def test_what_is_no_address_is_told(address):
    with pytest.raises(InputError, match="is not an address; write HOST:PORT/MODEL"):
        Client(address)


def test_a_client_without_a_model_is_refused():
    with pytest.raises(InputError, match="names no model; write localhost:8500/MODEL"):
        Client("localhost:8500")
    assert Client("localhost:8500/fcn8").model == "fcn8"


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)]
)
def test_arrays_that_are_no_images_are_not_sent(image):
    with pytest.raises(ValueError, match=r"images must be \[N, H, W, C\], uint8 or float32"):
        Client("localhost:1/m").predict(image)


@pytest.fixture(scope="module", params=["grpc", "rest"])
def client(request):
    with Client(getattr(running_server(), request.param), NAME) as client:
        yield client


def test_both_ports_give_the_same_answers(client):
    prediction = Predictor(exported().model, CLASSES, COLORS).predict(IMAGE)
    for mask, confidence in (client.predict(IMAGE), client.confident_mask(encoded(IMAGE))):
        np.testing.assert_array_equal(mask, prediction.mask)
        np.testing.assert_array_equal(confidence, np.rint(prediction.confidence * 255))
        assert mask.dtype == np.uint8
    np.testing.assert_array_equal(client.mask(encoded(IMAGE)), prediction.mask)
    assert client.logits(IMAGE[None]).argmax(-1).dtype == np.int64
    assert client.overlay(encoded(IMAGE))[:2] == b"\xff\xd8"
    assert client.tiled_mask(encoded(IMAGE), flips=True).shape == IMAGE.shape[:2]
    classes, colors = client.labels()
    assert (classes, colors.tolist()) == (CLASSES, [list(color) for color in COLORS])


def test_a_refusal_says_why(client):
    with pytest.raises(ServerError, match=r"refuses the request .*no complete JPEG, PNG, GIF, BMP or WebP"):
        client.mask(b"no image")


def test_a_model_that_the_server_lacks_is_told():
    for address in running_server()[1:]:
        with (
            Client(f"{address}/other") as client,
            pytest.raises(ServerError, match="does not have the model"),
        ):
            client.mask(encoded(IMAGE))


def test_the_wrong_one_of_the_two_ports_is_told():
    server = running_server()
    rest_as_grpc, grpc_as_rest = server.rest.removeprefix("http://"), f"http://{server.grpc}"
    with Client(rest_as_grpc, NAME, retries=0) as client, pytest.raises(ServerError, match="its REST port"):
        client.mask(encoded(IMAGE))
    with Client(grpc_as_rest, NAME, retries=0) as client, pytest.raises(ServerError, match="no REST port"):
        client.mask(encoded(IMAGE))


@contextlib.contextmanager
def http_server(answers):
    """A server that gives (status, body) one after the other, but for `labels`; None: it hangs up."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = (200, LABELS) if b'"labels"' in body else answers.pop(0)
            if isinstance(answer, float):
                time.sleep(answer)
            elif answer:
                self.send_response(answer[0])
                self.end_headers()
                self.wfile.write(answer[1])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


LABELS = b'{"outputs": {"classes": [["a", "b", "c"]], "colors": [[[0, 0, 0], [1, 1, 1], [2, 2, 2]]]}}'
GOOD = (200, b'{"outputs": {"mask": [[[1]]], "confidence": [[[2]]]}}')


def test_rest_is_asked_again_after_a_proxy_s_503_and_a_lost_connection():
    answers = [(503, b"<html>busy</html>"), None, (429, b'{"error": "slow down"}'), GOOD]
    with http_server(answers) as address, Client(address, NAME) as client:
        assert client.predict(PIXEL).mask.tolist() == [[1]]
    assert answers == []


@pytest.mark.parametrize("answer", [b"{}", b"[1]", b"5"])
def test_what_is_no_answer_of_a_model_server_is_one_line(answer):
    with (
        http_server([(200, answer)]) as address,
        Client(address, NAME) as client,
        pytest.raises(ServerError, match="does not speak TensorFlow Serving's protocol"),
    ):
        client.predict(PIXEL)


def test_a_model_s_name_may_have_any_letters():
    with http_server([GOOD]) as address, Client(address, "stadt bäume") as client:
        assert client.predict(PIXEL).mask.tolist() == [[1]]


def test_rest_takes_no_longer_than_its_time():
    with (
        http_server([1.0, GOOD]) as address,
        Client(address, NAME, timeout=0.2) as client,
        pytest.raises(ServerError, match="gave no answer in time"),
    ):
        client.predict(PIXEL)


@pytest.mark.parametrize("port", ["grpc", "rest"])
def test_predict_py_writes_the_files_that_it_writes_without_a_server(port, tmp_path, capsys):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "a.jpg").write_bytes(turned_jpeg(picture(24, 40), 6))
    cv2.imwrite(str(pictures / "b.png"), picture(31, 17, 1))
    cv2.imwrite(str(pictures / "c.tif"), picture(20, 20, 2))
    predictor = Predictor(exported().model, CLASSES, COLORS)
    predict_files(predictor, sorted(pictures.iterdir()), tmp_path / "local", overlay=True, confidence=True)
    (pictures / "d.png").write_text("no image")

    address = f"{getattr(running_server(), port)}/{NAME}"
    argv = [pictures, "--server", address, "--output", tmp_path / "remote", "--overlay", "--confidence"]
    status = main([str(word) for word in argv], program="predict.py")
    captured = capsys.readouterr()
    assert status == 2
    assert f"3 of 4 images labeled in {tmp_path / 'remote'}" in captured.out
    assert "d.png" in captured.err and "refuses the request" in captured.err
    local, remote = (
        {path.relative_to(folder): path for path in folder.rglob("*.*")}
        for folder in (tmp_path / "local", tmp_path / "remote")
    )
    assert len(local) == 9 and set(local) == set(remote)
    for name in local:
        both = [cv2.imread(str(paths[name]), cv2.IMREAD_UNCHANGED) for paths in (local, remote)]
        np.testing.assert_array_equal(*both)


def test_predict_py_ends_at_once_where_the_server_lacks_the_model(tmp_path, capsys):
    image = tmp_path / "a.png"
    image.write_bytes(encoded(IMAGE))
    argv = [str(image), "--server", f"{running_server().grpc}/other", "--output", str(tmp_path / "out")]
    assert main(argv, program="predict.py") == 2
    assert "does not have the model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "text"),
    [(("a.png", "b/a.png"), "both would be written to"), (("out/a.png",), "is an input")],
)
def test_predict_py_overwrites_nothing(names, text, tmp_path, capsys):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(IMAGE))
    inputs = [str(tmp_path / name) for name in names]
    argv = [*inputs, "--server", f"{running_server().grpc}/{NAME}", "--output", str(tmp_path / "out")]
    assert main(argv, program="predict.py") == 2
    assert text in capsys.readouterr().err


def test_a_model_is_asked_for(tmp_path, capsys):
    assert main(["a.png", "--output", str(tmp_path)], program="predict.py") == 2
    error = capsys.readouterr().err
    assert "name a run folder with --run, a published network with --pretrained, or a server" in error


def test_the_client_imports_no_tensorflow():
    code = "import sys; from keras_seg.serving import Client; Client('localhost:1/m'); "
    code += "print(sorted({'tensorflow', 'keras', 'tensorflow_serving'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
