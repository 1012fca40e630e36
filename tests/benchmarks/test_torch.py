"""PyTorch's counterparts of our networks, which the benchmarks time: as large, as costly, the same output."""

import json
import math

import numpy as np
import pytest

from keras_seg.models.summary import rows
from tests import parity
from tools.networks_page import NUM_CLASSES, SIZE

torch = pytest.importorskip("torch")
from benchmarks.contenders.torch_networks import NETWORKS, build  # noqa: E402  (needs PyTorch)

PATHS = [path for path in parity.find_fixtures(parity.FIXTURES) if parity.network_of(path.stem) in NETWORKS]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.network)
def test_a_counterpart_has_as_many_parameters_and_multiplications(row):
    with torch.device("meta"):
        network = build(row.network, NUM_CLASSES).eval()
    parameters = sum(each.numel() for each in network.parameters() if each.requires_grad)
    counted = []

    def count(layer, inputs, output):
        x = inputs[0] if isinstance(layer, torch.nn.ConvTranspose2d) else output
        counted.append(math.prod(x.shape[2:]) * layer.weight.numel())

    for layer in network.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        logits = network(torch.zeros(1, 3, SIZE, SIZE, device="meta"))
    assert logits.shape == (1, NUM_CLASSES, SIZE, SIZE)
    assert (parameters, sum(counted)) == (row.parameters, row.multiply_adds)


@pytest.mark.parity
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_counterpart_gives_the_references_output(path):
    fixture = json.loads(path.read_text())
    with np.load(path.with_suffix(".npz")) as references:
        reference = references["out"]
    network = build(parity.network_of(path.stem), reference.shape[1]).eval()
    load(network, fixture)
    image = parity.tensor("input", fixture["input"], "bias", fixture["salt"])
    with torch.inference_mode():
        ours = network(torch.from_numpy(image * np.float32(fixture["input_scale"]))).numpy()
    assert parity.relative_error(ours.transpose(0, 2, 3, 1), reference, fixture["stride"]) <= parity.LIMIT


def load(network, fixture):
    """Fills a network with a fixture's weights, which lie in its layers' order, an auxiliary head's last."""
    tensors = fixture_tensors(fixture)
    own = {key: each for key, each in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert all("aux" in key for key in list(tensors)[len(own) :])
    if not tensors.keys() <= own.keys():
        tensors = dict(zip(own, tensors.values(), strict=False))
    assert {key: each.shape for key, each in own.items()} == {key: tensors[key].shape for key in own}
    network.load_state_dict({key: torch.from_numpy(tensors[key]) for key in own}, strict=False)


def fixture_tensors(fixture):
    salt = fixture["salt"]
    if fixture["framework"] == "torch":
        return {key: parity.tensor(key, *entry, salt) for key, entry in fixture["tensors"].items()}
    return {
        f"{name}.{kind}": blob
        for name, entry in fixture["blobs"].items()
        if not name.startswith("scale_")
        for kind, blob in zip(("weight", "bias"), parity.caffe_blobs(name, entry, salt), strict=False)
    }
