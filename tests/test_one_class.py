"""One class against the background: a single logit and its sigmoid, from the masks to the export."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_seg import InputError, Predictor, Run, TrainConfig, build_model, train
from keras_seg.cli import main
from keras_seg.data import check_dataset, load_dataset, read_sample
from keras_seg.data.folders.binary import binary_line
from keras_seg.evaluation import evaluate, evaluate_run
from keras_seg.inference import Averaging, classify
from keras_seg.inference.crf import CRF
from keras_seg.serving import Client, export_saved_model
from keras_seg.serving.formats import export_litert, export_onnx
from keras_seg.serving.outputs import Output
from tests.data.helpers import encode, picture, png, write_folder
from tests.losses_by_hand import probabilities
from tests.serving.helpers import NAME, encoded, free_port, grey, picture as smooth_picture, tiny_network

COLORS = ((0, 0, 0), (255, 0, 0))
DISC = np.uint8(np.hypot(*(np.mgrid[:12, :16] - np.array([[[5]], [[7]]]))) < 4)


def foreground(logits):
    """The probabilities by hand, float64 [H, W], of logits [H, W, 1]."""
    values = [probabilities([float(logit)])[1] for logit in np.ravel(logits)]
    return np.reshape(values, logits.shape[:2])


def network(image):
    """A small network of one logit, whose sigmoid is above and below 0.4 for as many pixels of an image."""
    model = tiny_network(1)
    logits = logits_of(model, image)
    scale = 2 / logits.std()
    coarse, fine = model.layers[-4], model.layers[-2]
    for layer in (coarse, fine):
        layer.kernel.assign(scale * layer.kernel)
    fine.bias.assign([np.log(0.4 / 0.6) - scale * np.median(logits)])
    return model


def logits_of(model, image):
    return model.predict(image[None].astype("float32"), verbose=0)[0]


@pytest.mark.parametrize("threshold", [None, 0.1, 0.5, 0.75])
def test_a_pixel_is_foreground_from_the_threshold_on_and_the_confidence_is_of_the_answer(threshold):
    logits = np.random.default_rng(0).normal(0, 2, (5, 7, 1)).astype("float32")
    mask, confidence = (np.asarray(each) for each in classify(logits, threshold))
    probability = foreground(logits)
    assert mask.dtype == np.uint8 and set(mask.ravel()) == {0, 1}
    np.testing.assert_array_equal(mask, probability >= (threshold or 0.5))
    np.testing.assert_allclose(confidence, np.where(mask, probability, 1 - probability), rtol=1e-6)


def test_a_logit_of_zero_is_foreground_and_huge_ones_are_sure():
    mask, confidence = (np.asarray(each) for each in classify(np.float32([[0], [-0.0], [1e38], [-1e38]])))
    assert mask.tolist() == [1, 1, 1, 0]
    assert confidence.tolist() == [0.5, 0.5, 1, 1]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"averaging": Averaging(window=(16, 16))},
        {"averaging": Averaging(flip=True)},
        {"averaging": Averaging(scales=(1.0, 0.5))},
    ],
    ids=["whole", "windows", "mirrored", "scales"],
)
def test_mask_and_confidence_follow_from_the_probabilities_however_an_image_goes_through(options):
    image = smooth_picture(24, 40)
    predictor = Predictor(network(image), threshold=0.3, **options)
    probability = predictor.probabilities(image)
    mask, confidence = predictor.predict(image)
    assert predictor.classes == ("background", "foreground")
    assert probability.shape == (24, 40, 2)
    np.testing.assert_allclose(probability.sum(-1), 1, rtol=1e-6)
    is_clear = np.abs(probability[..., 1] - 0.3) > 1e-5
    assert set(mask.ravel()) == {0, 1}
    np.testing.assert_array_equal(mask[is_clear], (probability[..., 1] >= 0.3)[is_clear])
    expected = np.take_along_axis(probability, mask[..., None].astype(int), -1)[..., 0]
    np.testing.assert_allclose(confidence, expected, atol=1e-5)


def test_the_whole_image_has_the_probabilities_of_its_logits():
    image = smooth_picture(24, 40)
    model = network(image)
    expected = foreground(logits_of(model, image))
    np.testing.assert_allclose(Predictor(model).probabilities(image)[..., 1], expected, atol=1e-5)


def test_a_crf_takes_away_what_its_neighbors_do_not_have():
    image = smooth_picture(24, 40)
    model = network(image)
    refined = Predictor(model, crf=CRF(smoothness_weight=50.0)).predict(image)
    plain = Predictor(model).predict(image)
    edges = [np.abs(np.diff(np.int8(each.mask), axis=1)).sum() for each in (plain, refined)]
    assert edges[1] < edges[0]
    assert refined.confidence.min() >= 0.5


def test_a_threshold_of_several_classes_is_refused():
    with pytest.raises(
        InputError, match=r"--threshold is for networks of one class .* tells 3 classes apart"
    ):
        Predictor(tiny_network(3), threshold=0.3)
    with pytest.raises(InputError, match="--threshold must be above 0 and below 1, received 1"):
        Predictor(tiny_network(1), threshold=1)


def test_the_carvana_network_of_one_class_has_its_published_parameters():
    model = build_model("fcn8_vgg16_bn", 1)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 24_162_113
    config = TrainConfig(recipe="seed-carvana", model="fcn8_vgg16_bn", data="carvana").resolve()
    assert config.binary and config.loss == "bce"


def write_discs(root, values=(0, 1), count=4, description=None, ignored=None):
    """Pairs whose masks hold a disc: `values` of background and foreground."""
    masks = np.uint8(values)[DISC]
    if ignored is not None:
        masks[0] = ignored
    return write_folder(root, count, masks=masks, description=description)


@pytest.mark.parametrize(
    ("values", "ignored", "line"),
    [
        ((0, 1), None, "one class: foreground is value 1 of the masks, background 0"),
        ((0, 1), 255, "one class: foreground is value 1 of the masks, background 0"),
        ((0, 255), None, "foreground is value 255 of the masks, background 0; 255 is not ignored"),
    ],
)
def test_masks_of_0_and_1_or_of_0_and_255_are_one_class(tmp_path, values, ignored, line):
    dataset = load_dataset(write_discs(tmp_path, values, ignored=ignored), num_classes=1)
    assert check_dataset(dataset) == []
    assert dataset.classes == ("background", "foreground") and dataset.num_logits == 1
    expected = DISC.copy()
    if ignored:
        expected[0] = 255
    np.testing.assert_array_equal(read_sample(dataset.split("train")[0], dataset)[1], expected)
    assert line in binary_line(dataset)


@pytest.mark.parametrize(
    ("values", "description"),
    [
        ((0, 1), {"classes": ["disc"]}),
        ((0, 255), {"classes": ["disc"]}),
        ((0, 255), {"classes": ["disc"], "colors": [[9, 8, 7]]}),
        ((0, 77), {"classes": ["disc"], "mask_values": [77]}),
        ((3, 77), {"classes": ["background", "disc"], "mask_values": [3, 77], "binary": True}),
        ((0, 255), {"classes": ["background", "disc"], "binary": True}),
    ],
)
def test_a_description_of_one_class_needs_no_flag(tmp_path, values, description, capsys):
    write_discs(tmp_path, values, description=description)
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("background", "disc") and dataset.is_binary
    assert len(dataset.colors) == 2
    np.testing.assert_array_equal(read_sample(dataset.split("train")[0], dataset)[1], DISC)
    # What the doctor writes means the same.
    main(["doctor", str(tmp_path), "--fix"])
    assert "one class: disc is value" in capsys.readouterr().out
    again = load_dataset(tmp_path)
    assert again.is_binary and again.classes == dataset.classes
    np.testing.assert_array_equal(read_sample(again.split("train")[0], again)[1], DISC)


def test_colors_of_one_class_stand_beside_black(tmp_path):
    write_discs(tmp_path, description={"classes": ["disc"], "mask_colors": [[255, 0, 0]]})
    for path in (tmp_path / "masks").iterdir():
        path.write_bytes(encode(DISC[..., None] * np.uint8([255, 0, 0])))
    dataset = load_dataset(tmp_path)
    assert check_dataset(dataset) == [] and dataset.is_binary
    np.testing.assert_array_equal(read_sample(dataset.split("train")[0], dataset)[1], DISC)


@pytest.mark.parametrize(
    ("values", "description", "options", "text"),
    [
        ((0, 77), None, {"binary": True}, r"hold the values 0, 77, .* as `mask_values` in dataset.json"),
        ((0, 1), {"classes": ["a", "b", "c"]}, {"binary": True}, "there are 3 classes: a, b, c; drop it"),
        ((0, 1), None, {"binary": True, "reduce_zero_label": True}, "contradict each other: 0 is"),
        ((0, 1), {"classes": ["a"], "mask_values": [0]}, {}, "`mask_values` gives one class 0, which is"),
    ],
)
def test_what_is_not_one_class_is_refused(tmp_path, values, description, options, text):
    write_discs(tmp_path, values, description=description)
    with pytest.raises(InputError, match=text):
        load_dataset(tmp_path, **options)


def test_shapes_have_more_than_one_class():
    with pytest.raises(InputError, match="there are 5 classes: ground"):
        load_dataset("shapes", binary=True)


def test_a_threshold_without_one_class_is_refused_before_anything_is_written(tmp_path):
    folder = write_folder(tmp_path / "data")
    config = TrainConfig(data=str(folder), threshold=0.4, output=str(tmp_path / "run"))
    with pytest.raises(InputError, match="threshold does nothing for 3 classes"):
        train(config, report=lambda line: None)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    """Bright discs on dark noise; masks of 0 and 255."""
    root = tmp_path_factory.mktemp("data") / "discs"
    rows, columns = np.mgrid[:32, :32]
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for index in range(12):
        random = np.random.default_rng(index)
        row, column, radius = [*random.integers(8, 24, 2).tolist(), int(random.integers(5, 9))]
        mask = np.hypot(rows - row, columns - column) < radius
        image = picture(32, 32, seed=index) // 4 + 150 * mask[..., None].astype(np.uint8)
        (root / "images" / f"{index}.png").write_bytes(encode(image))
        (root / "masks" / f"{index}.png").write_bytes(png(np.uint8(mask) * 255))
    return root


@pytest.fixture(scope="module")
def disc_run(discs, tmp_path_factory):
    """A U-Net of one logit, trained by the command line with the loss and balanced weights of two classes."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    flags = ["--model", "unet", "--data", discs, "--binary", "--threshold", 0.4, "--loss", "bce+dice"]
    flags += ["--class-weights", "balanced", "--epochs", 12, "--batch-size", 4, "--image-size", 32, 32]
    flags += ["--model-option", "widths=[8,16]", "--model-option", "decoder_widths=[8]", "--no-augment"]
    flags += ["--model-option", "batch_norm=false", "--schedule", "fixed"]
    flags += ["--learning-rate", 0.01, "--weights", "none", "--output", folder]
    assert main([str(flag) for flag in flags], program="train.py") == 0
    return Run.open(folder)


def test_a_training_of_one_class_learns_it_and_says_what_it_took(disc_run):
    settings = disc_run.config
    assert (settings["binary"], settings["threshold"]) == (True, 0.4)
    assert settings["classes"] == ["background", "foreground"]
    assert disc_run.load_model().output.shape[-1] == 1
    metrics = json.loads((disc_run.path / "metrics.json").read_text())
    assert np.shape(metrics["confusion"]) == (2, 2)
    assert metrics["classes"][1]["iou"] > 0.8
    assert cv2.imread(str(disc_run.path / "samples.png")) is not None


def test_the_figures_are_those_of_the_threshold(disc_run, discs):
    dataset = load_dataset(discs, binary=True)
    samples = [read_sample(sample, dataset) for sample in dataset.split("val")]
    model = disc_run.load_model()
    for threshold in (0.4, 0.9):
        masks = np.stack([foreground(logits_of(model, image)) >= threshold for image, _ in samples])
        truth = np.stack([mask for _, mask in samples]) == 1
        found = evaluate_run(disc_run, threshold=threshold if threshold != 0.4 else None)
        expected = (masks & truth).sum() / (masks | truth).sum()
        assert found["classes"][1]["iou"] == pytest.approx(expected, abs=1e-6)
    assert evaluate_run(disc_run)["confusion"] != found["confusion"]


def test_a_run_of_one_class_records_settings_that_it_goes_on_with(disc_run):
    config = TrainConfig.from_dict(disc_run.config).resolve()
    assert (config.binary, config.threshold) == (True, 0.4)
    assert disc_run.dataset().is_binary


def test_commands_write_masks_overlays_polygons_and_a_report(disc_run, discs, tmp_path):
    images = sorted(str(path) for path in (discs / "images").iterdir())[:2]
    flags = ["--overlay", "--confidence", "--probabilities", "png", "--polygons", "geojson"]
    command = [*images, "--run", str(disc_run.path), "--output", str(tmp_path), "--threshold", "0.7", *flags]
    assert main(["predict", *command]) == 0
    predictor = Predictor(disc_run, threshold=0.7)
    for path in map(Path, images):
        image = cv2.imread(str(path))[..., ::-1]
        mask = grey((tmp_path / f"{path.stem}.png").read_bytes())
        np.testing.assert_array_equal(mask, predictor.predict(image).mask)
        levels = [grey((tmp_path / "probabilities" / f"{path.stem}-{i}.png").read_bytes()) for i in (0, 1)]
        assert levels[0].astype(int).max() + levels[1].astype(int).max() >= 65535
        content = json.loads((tmp_path / "polygons" / f"{path.stem}.geojson").read_text())
        pixels = {feature["properties"]["class"]: 0 for feature in content["features"]}
        for feature in content["features"]:
            pixels[feature["properties"]["class"]] += feature["properties"]["pixels"]
        assert pixels.get("foreground", 0) == (mask == 1).sum()
    assert main(["evaluate", "--run", str(disc_run.path), "--report"]) == 0
    assert "foreground" in (disc_run.path / "report.html").read_text(encoding="utf-8")


def test_every_signature_answers_by_the_threshold_it_was_exported_with(tmp_path):
    image = smooth_picture(40, 56)
    model = network(image)
    options = {"classes": ("background", "car"), "colors": COLORS, "threshold": 0.3, "tile": 32}
    folder = export_saved_model(model, tmp_path / "1", warm_up=[(16, 16)], **options)
    signatures = tf.saved_model.load(str(folder)).signatures
    mask, confidence = Predictor(model, threshold=0.3).predict(image)
    assert 0 < mask.mean() < 1 and (mask != Predictor(model).predict(image).mask).any()

    found = signatures["serving_default"](images=tf.constant(image[None]))
    np.testing.assert_array_equal(found["mask"][0], mask)
    np.testing.assert_allclose(found["confidence"][0], confidence * 255, atol=0.51)
    picture_bytes = tf.constant([encoded(image)])
    found = signatures["confidence"](image_bytes=picture_bytes)
    np.testing.assert_array_equal(grey(found["mask_bytes"][0].numpy()), mask)
    tiled = signatures["tiled"](image_bytes=picture_bytes, flips=tf.constant([False]))
    assert (grey(tiled["mask_bytes"][0].numpy()) == mask).mean() > 0.9
    logits = signatures["logits"](images=tf.constant(image[None]))["logits"]
    np.testing.assert_allclose(logits[0], logits_of(model, image), rtol=1e-4, atol=1e-5)
    painted = signatures["overlay"](image_bytes=picture_bytes)["overlay_bytes"][0].numpy()
    red = cv2.imdecode(np.frombuffer(painted, np.uint8), cv2.IMREAD_COLOR)[..., 2].astype(int)
    blue = cv2.imdecode(np.frombuffer(painted, np.uint8), cv2.IMREAD_COLOR)[..., 0].astype(int)
    assert (red - blue)[mask == 1].mean() > (red - blue)[mask == 0].mean() + 60
    labels = signatures["labels"](query=tf.constant([b""]))["classes"][0].numpy().tolist()
    assert labels == [b"background", b"car"]
    asset = json.loads((folder / "assets" / "labels.json").read_text())
    assert asset["threshold"] == 0.3


def test_onnx_and_litert_give_the_single_logit_and_are_compared_by_its_threshold(disc_run, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("ai_edge_litert")
    ((path, certificate),) = export_onnx(disc_run, tmp_path, threshold=0.25)
    assert certificate.agreement == 1
    model = onnx.load(path)
    assert model.graph.output[0].type.tensor_type.shape.dim[3].dim_value == 1
    metadata = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert metadata["threshold"] == 0.25 and metadata["classes"] == ["background", "foreground"]
    ((_, certificate),) = export_litert(disc_run, tmp_path, precisions=["float"])
    assert certificate.agreement == 1 and certificate.error < 1e-3


def test_a_client_takes_one_or_two_logits_of_two_classes():
    wanted = Output("float32", (1, 4, 4, (1, 2)))
    for channels in (1, 2):
        wanted.check_kind("float32", (1, 4, 4, channels))
    assert wanted.max_bytes == 4 * 32
    with pytest.raises(ValueError, match="has the shape"):
        wanted.check_kind("float32", (1, 4, 4, 3))


def test_a_keras_model_of_one_logit_is_evaluated_as_two_classes():
    image, mask = smooth_picture(24, 40)[None], np.zeros((1, 24, 40), "uint8")
    found = evaluate(tiny_network(1), [(image, mask)], ("background", "car"))
    assert [row["name"] for row in found["classes"]] == ["background", "car"]
    assert found["num_pixels"] == 24 * 40


@pytest.mark.long
def test_a_server_answers_a_client_for_one_class(tmp_path):
    pytest.importorskip("tensorflow_serving.apis")
    image = smooth_picture(24, 40)
    model = network(image)
    export_saved_model(model, tmp_path / "1", classes=("background", "car"), colors=COLORS, threshold=0.3)
    ports = [free_port(), free_port()]
    program = [sys.executable, str(Path(__file__).parent / "serving/model_server.py")]
    flags = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_name={NAME}"]
    process = subprocess.Popen([*program, *flags, f"--model_base_path={tmp_path}"])
    try:
        for address in (f"127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"):
            with Client(address, NAME) as client:
                client.wait_until_ready()
                expected = Predictor(model, threshold=0.3).predict(image).mask
                assert client.labels()[0] == ("background", "car")
                np.testing.assert_array_equal(client.predict(image).mask, expected)
                np.testing.assert_array_equal(client.mask(encoded(image)), expected)
                logits = client.logits(image[None])[0]
                np.testing.assert_allclose(logits, logits_of(model, image), rtol=1e-4, atol=1e-5)
    finally:
        process.kill()
