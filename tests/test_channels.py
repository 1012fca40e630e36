"""Images of other channels and depths than RGB of 8 bits, from their files to the export."""

import io
import json
import sys

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_seg import InputError, Predictor, Run, TrainConfig, build_model, load_weights, train
from keras_seg.augmentation import Augmentation
from keras_seg.cli import main
from keras_seg.data import check_dataset, eval_batches, load_dataset, read_image, train_batches
from keras_seg.data.formats.bands import joined_moments, moments_of
from keras_seg.data.samples import ImageKind
from keras_seg.layers import Preprocessing
from keras_seg.models import MODELS
from keras_seg.palette import displayable
from keras_seg.pretrained.assign import adapt_channels
from keras_seg.serving import export_saved_model
from keras_seg.training.loop.measuring import for_first_weights
from tests.data.helpers import GREY, RGBA, encode, picture, png, with_exif_orientation, write_folder
from tests.models.helpers import build_narrow

CHANNELS = (1, 4, 16)


def noise(channels, dtype="uint8", size=(12, 16), seed=0):
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return random.normal(3, 2, (*size, channels)).astype(dtype)
    return random.integers(0, np.iinfo(dtype).max + 1, (*size, channels)).astype(dtype)


def save(path, image):
    """Writes an image [H, W, C] as the name of its file says."""
    if path.suffix == ".npy":
        np.save(path, image)
    elif path.suffix == ".tif":
        tifffile = pytest.importorskip("tifffile")
        layout = {"planarconfig": "contig"} if image.shape[2] > 1 else {}
        tifffile.imwrite(path, image.squeeze(-1) if not layout else image, photometric="minisblack", **layout)
    else:
        stored = image[..., [2, 1, 0, 3]] if image.shape[2] == 4 else image
        path.write_bytes(cv2.imencode(path.suffix, stored)[1].tobytes())


def write_bands(root, channels, dtype="uint8", suffix=".npy", count=6, size=(32, 32), description=None):
    """Pairs of noise and a mask of what the last channel says."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for index in range(count):
        image = noise(channels, dtype, size, seed=index)
        mask = np.uint8(np.hypot(*(np.mgrid[: size[0], : size[1]] - 15)) < 6 + index)
        if image.dtype.kind == "u":
            bright = np.iinfo(dtype).max // 2
            image[..., -1] = image[..., -1] // 4 + mask.astype(dtype) * np.array(bright, dtype)
        else:
            image[..., -1] += 9 * mask
        save(root / "images" / f"{index}{suffix}", image)
        (root / "masks" / f"{index}.png").write_bytes(png(mask))
    if description is not None:
        (root / "dataset.json").write_text(json.dumps(description))
    return root


def run_narrow(name, channels):
    model = build_narrow(name, 3, input_shape=(None, None, channels))
    assert model.inputs[0].shape[-1] == channels
    logits = keras.ops.convert_to_numpy(model(noise(channels, "float32", (33, 40))[None]))
    assert logits.shape == (1, 33, 40, 3) and np.isfinite(logits).all()


@pytest.mark.parametrize(("name", "channels"), [("fcn8_caffe", 1), ("segnet", 4), ("deeplabv3plus", 16)])
def test_networks_take_one_four_and_sixteen_channels(name, channels):
    run_narrow(name, channels)


@pytest.mark.long
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", MODELS)
def test_every_network_takes_one_four_and_sixteen_channels(name, channels):
    run_narrow(name, channels)


@pytest.mark.parametrize("shape", [(None, None, 0), (None, None, 17), (None, None), (8, 8, None)])
def test_other_numbers_of_channels_are_refused(shape):
    with pytest.raises(ValueError, match="with C from 1 to 16"):
        build_model("unet", 2, shape)


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 7])
def test_a_first_convolution_is_adapted_by_its_formula(channels):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 5)).astype("float32")
    found = adapt_channels(kernel, channels)
    for c in range(channels):
        expected = kernel.sum(2) if channels == 1 else kernel[:, :, c % 3] * 3 / channels
        np.testing.assert_allclose(found[:, :, c], expected, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_images_of_equal_channels_give_the_maps_of_the_original_network(channels):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 5)).astype("float32")
    grey = noise(1, "float32")
    first, second = (
        keras.ops.convert_to_numpy(keras.ops.conv(np.repeat(grey, weights.shape[2], -1)[None], weights))
        for weights in (kernel, adapt_channels(kernel, channels))
    )
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("channels", "text"), [(1, "summed for 1"), (5, "repeated and scaled for 5")])
def test_weights_of_three_channels_start_a_network_of_others_and_it_is_said(channels, text, tmp_path):
    options = {"widths": (8, 16), "decoder_widths": (8,), "preprocessing": "torch"}
    source = build_model("unet", 3, **options)
    source.save_weights(tmp_path / "a.weights.h5")
    model = build_model("unet", 3, (None, None, channels), **options)
    line = load_weights(model, tmp_path / "a.weights.h5")
    assert f"stem_conv1 has 3 channels there, {text} here" in line
    ours, theirs = (each.get_layer("stem_conv1").kernel.numpy() for each in (model, source))
    np.testing.assert_array_equal(ours, adapt_channels(theirs, channels))
    np.testing.assert_array_equal(model.get_layer("logits").kernel, source.get_layer("logits").kernel)


def test_measured_preprocessing_is_the_mean_and_the_deviation_of_each_channel_and_is_saved(tmp_path):
    mean, deviation = [1.0, 2.0, 3.0, 4.0], [1.0, 0.5, 2.0, 8.0]
    options = {"preprocessing": {"mean": mean, "deviation": deviation}}
    model = build_model("unet", 2, (None, None, 4), widths=(4, 8), decoder_widths=(4,), **options)
    image = noise(4, "float32")[None]
    expected = (image - mean) / deviation
    model.save(tmp_path / "a.keras")
    for each in (model, keras.saving.load_model(tmp_path / "a.keras")):
        np.testing.assert_allclose(each.get_layer("preprocessing")(image), expected, rtol=1e-5)


def test_a_mode_gives_channels_other_than_three_the_mean_of_its_numbers():
    image = noise(5, "float32")
    expected = (image / 255 - np.mean([0.485, 0.456, 0.406])) / np.mean([0.229, 0.224, 0.225])
    np.testing.assert_allclose(Preprocessing("torch")(image[None])[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"mean": [1.0]}, {"mean": [1.0] * 3, "deviation": [1.0] * 3}])
def test_statistics_of_other_channels_are_refused(options):
    with pytest.raises(ValueError, match="preprocessing"):
        build_model("unet", 2, (None, None, 4), preprocessing=options)


@pytest.mark.parametrize(
    ("suffix", "channels", "dtype"),
    [
        (".npy", 1, "uint8"), (".npy", 7, "uint16"), (".npy", 16, "float32"), (".png", 1, "uint8"),
        (".png", 4, "uint8"), (".png", 1, "uint16"), (".png", 4, "uint16"), (".tif", 1, "uint16"),
        (".tif", 2, "uint8"), (".tif", 4, "float32"), (".tif", 8, "uint16"), (".tif", 16, "uint8"),
    ],
)  # fmt: skip
def test_images_are_read_as_they_are_stored(tmp_path, suffix, channels, dtype):
    image, path = noise(channels, dtype), tmp_path / f"a{suffix}"
    save(path, image)
    kind = ImageKind(channels, dtype)
    found = read_image(path, kind)
    assert found.dtype == kind.dtype == ("uint8" if dtype == "uint8" else "float32")
    np.testing.assert_array_equal(found, image)


def test_an_array_without_an_axis_of_channels_is_one_channel_and_float64_becomes_float32(tmp_path):
    image = noise(1, "float64")[..., 0]
    np.save(tmp_path / "a.npy", image)
    found = read_image(tmp_path / "a.npy", ImageKind(1, "float32"))
    np.testing.assert_array_equal(found[..., 0], image.astype("float32"))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_bands_of_a_tiff_may_lie_one_behind_the_other(tmp_path, compression):
    tifffile = pytest.importorskip("tifffile")
    image = noise(6, "uint16")
    options = {"photometric": "minisblack", "planarconfig": "separate", "compression": compression}
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(image, -1, 0), **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", ImageKind(6, "uint16")), image)


def test_a_grey_jpeg_is_turned_as_its_exif_orientation_says(tmp_path):
    stored = cv2.imencode(".jpg", picture()[..., 0])[1].tobytes()
    for orientation in range(1, 9):
        (tmp_path / "a.jpg").write_bytes(with_exif_orientation(stored, orientation))
        found = read_image(tmp_path / "a.jpg", ImageKind(1))
        upright = read_image(tmp_path / "a.jpg")
        np.testing.assert_array_equal(found, upright[..., :1])


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (noise(3), r"holds uint8 of 3 channels, and uint8 of 4 channels is wanted"),
        (noise(4, "uint16"), r"holds uint16 of 4 channels, and uint8 of 4 channels is wanted"),
        (noise(4, "uint16").astype("int32"), r"holds int32 samples; save it as uint8, uint16, float32"),
        (noise(4).astype(object), r"is a truncated or damaged NumPy \(Object arrays cannot be loaded"),
        (noise(4)[None], r"has the shape \[1, 12, 16, 4\], which is not \[H, W, 4\]"),
        (np.float32([[[np.nan, 1, np.inf, 2]]]), r"holds 2 values that are NaN or infinite"),
    ],
)
def test_images_of_another_kind_are_refused_in_one_line(tmp_path, image, text):
    np.save(tmp_path / "a.npy", image, allow_pickle=True)
    with pytest.raises(InputError, match=rf"a\.npy: {text}") as caught:
        read_image(tmp_path / "a.npy", ImageKind(4))
    assert "\n" not in str(caught.value)


def test_damaged_and_foreign_files_are_refused_in_one_line(tmp_path):
    save(tmp_path / "a.npy", noise(5))
    contents = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(contents[:-7])
    with pytest.raises(InputError, match="is a truncated or damaged NumPy"):
        read_image(tmp_path / "a.npy", ImageKind(5))
    (tmp_path / "a.npy").write_bytes(contents)
    with pytest.raises(InputError, match="is a NumPy array; read it with --channels"):
        read_image(tmp_path / "a.npy")
    huge = np.lib.format.header_data_from_array_1_0(noise(5)) | {"shape": (1 << 20, 1 << 20, 5)}
    with (tmp_path / "c.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, huge)
    with pytest.raises(InputError, match="says that it is 1048576 x 1048576 pixels"):
        read_image(tmp_path / "c.npy", ImageKind(5))
    (tmp_path / "b.png").write_bytes(b"no image at all")
    with pytest.raises(InputError, match=r"b\.png: is a truncated or damaged image"):
        read_image(tmp_path / "b.png", ImageKind(5))


def test_a_multi_band_tiff_without_channels_says_how_to_read_it(tmp_path):
    for channels, dtype in ((6, "uint8"), (4, "uint8"), (4, "uint16"), (2, "uint16")):
        save(tmp_path / "a.tif", noise(channels, dtype))
        with pytest.raises(InputError, match=rf"is a TIFF of {channels} channels; .* --channels {channels}"):
            read_image(tmp_path / "a.tif")


def test_a_tiff_where_its_reader_is_missing_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    (tmp_path / "a.tif").write_bytes(encode(picture(), ".tiff"))
    with pytest.raises(InputError, match=r"a\.tif: a TIFF of any channels needs the package tifffile: pip"):
        read_image(tmp_path / "a.tif", ImageKind(3, "uint16"))


def test_a_tiff_of_too_many_channels_is_refused_before_it_is_decoded(tmp_path):
    save(tmp_path / "a.tif", noise(17))
    with pytest.raises(InputError, match="has 17 channels; at most 16 can be read"):
        read_image(tmp_path / "a.tif", ImageKind(5))


def test_moments_of_many_images_are_those_of_all_pixels():
    images = [noise(7, "float32", size, seed) for seed, size in enumerate([(5, 9), (12, 3), (1, 1)])]
    images[0] += 1e4
    found = joined_moments(map(moments_of, images))
    pixels = np.concatenate([image.reshape(-1, 7) for image in images]).astype("float64")
    np.testing.assert_allclose(found.mean, pixels.mean(0), rtol=1e-9)
    np.testing.assert_allclose(found.deviation, pixels.std(0), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_batches_hold_the_stored_values(tmp_path, dtype):
    dataset = load_dataset(write_bands(tmp_path / "a", 5, dtype), channels=5)
    assert check_dataset(dataset) == []
    kind = ImageKind(5, dtype)
    assert dataset.images == kind
    samples = {sample.name: np.load(sample.image) for sample in dataset.split("val")}
    for (images, masks), image in zip(eval_batches(dataset, max_pixels=0), samples.values(), strict=True):
        assert images.dtype == kind.dtype and masks.dtype == tf.int32
        np.testing.assert_array_equal(images[0], image)
    images, masks = next(iter(train_batches(dataset, (16, 24), 2)))
    assert images.shape == (2, 16, 24, 5) and images.dtype == kind.dtype
    assert masks.shape == (2, 16, 24)


@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (3, "uint16"), (5, "float32")])
def test_augmentation_changes_no_value_where_it_changes_no_place(tmp_path, channels, dtype):
    """Neither flip nor scale, the crop is the image: color factors must not have been applied."""
    dataset = load_dataset(write_bands(tmp_path / "a", channels, dtype, count=3), channels=channels)
    options = Augmentation(flip=False, scales=(1.0, 1.0), color_factors=(0.5, 0.5))
    stored = [np.load(sample.image).astype("float32") for sample in dataset.split("train")]
    for images, _ in train_batches(dataset, (32, 32), 1, augment=options).take(len(stored)):
        errors = [np.abs(images[0].numpy().astype("float32") - image).max() for image in stored]
        assert min(errors) == 0


def test_all_of_augmentation_keeps_channels_together(tmp_path):
    dataset = load_dataset(write_bands(tmp_path / "a", 6, "float32", count=3), channels=6)
    options = Augmentation(rotation=20, blur=1, elastic=3)
    for images, _ in train_batches(dataset, (24, 24), 2, augment=options).take(2):
        assert images.shape[1:] == (24, 24, 6) and np.isfinite(images).all()


def test_a_preview_shows_the_first_three_channels(tmp_path):
    folder = write_bands(tmp_path / "a", 5, "uint16", description={"channels": 5})
    target = tmp_path / "preview.png"
    command = ["preview", str(folder), "--no-augment", "--image-size", "40", "40", "--count", "1"]
    assert main([*command, "--output", str(target)]) == 0
    assert len(np.unique(cv2.imread(str(target))[30:200, 30:200].reshape(-1, 3), axis=0)) > 100


def test_one_depth_is_wanted_of_all_images(tmp_path):
    folder = write_bands(tmp_path / "a", 5)
    save(folder / "images" / "3.npy", noise(5, "uint16", (32, 32)))
    with pytest.raises(InputError, match=r"3\.npy: holds uint16 of 5 channels, and uint8 of 5"):
        check_dataset(load_dataset(folder, channels=5))


def test_the_doctor_measures_each_channel(tmp_path, capsys):
    folder = write_bands(tmp_path / "a", 5, "uint16")
    assert main(["doctor", str(folder), "--channels", "5", "--json"]) in (0, 1)
    report = json.loads(capsys.readouterr().out)
    train = load_dataset(folder, channels=5).split("train")
    pixels = np.concatenate([np.load(sample.image).reshape(-1, 5) for sample in train]).astype("float64")
    np.testing.assert_allclose([each["mean"] for each in report["channels"]], pixels.mean(0))
    np.testing.assert_allclose([each["deviation"] for each in report["channels"]], pixels.std(0))
    main(["doctor", str(folder), "--channels", "5"])
    assert "channels mean" in capsys.readouterr().out


def test_rgb_stays_as_it_was_and_is_measured_too(tmp_path, capsys):
    folder = write_folder(tmp_path / "a")
    assert load_dataset(folder).images == load_dataset(folder, channels=3).images == ImageKind()
    main(["doctor", str(folder), "--json"])
    assert len(json.loads(capsys.readouterr().out)["channels"]) == 3


@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (2, "float32"), (5, "uint16")])
def test_what_is_shown_is_rgb(channels, dtype):
    image = noise(channels, dtype)
    found = displayable(image)
    assert found.shape == (12, 16, 3) and found.dtype == np.uint8
    if dtype != "uint8":
        assert (found.min(), found.max()) == (0, 255)
    if channels < 3:
        assert (found == found[..., :1]).all()


@pytest.fixture(scope="module")
def band_run(tmp_path_factory):
    """A U-Net of 5 bands of 16 bits and one class, trained by the command line."""
    root = tmp_path_factory.mktemp("bands")
    data = write_bands(root / "data", 5, "uint16", count=10)
    flags = [
        "--model",
        "unet",
        "--data",
        data,
        "--channels",
        5,
        "--binary",
        "--epochs",
        20,
        "--batch-size",
        4,
    ]
    flags += ["--loss", "bce+dice"]
    flags += ["--image-size", 32, 32, "--model-option", "widths=[8,16]", "--no-augment", "--weights", "none"]
    flags += ["--model-option", "decoder_widths=[8]", "--model-option", "batch_norm=false"]
    flags += ["--learning-rate", 0.01, "--schedule", "fixed", "--output", root / "run"]
    assert main([str(flag) for flag in flags], program="train.py") == 0
    return Run.open(root / "run")


def test_a_training_on_bands_is_preprocessed_by_what_was_measured(band_run):
    config = band_run.config
    dataset = band_run.dataset()
    assert (config["channels"], config["depth"]) == (5, "uint16")
    moments = joined_moments(moments_of(np.load(each.image)) for each in dataset.split("train"))
    layer = band_run.load_model().get_layer("preprocessing")
    np.testing.assert_allclose(layer.mean, moments.mean)
    np.testing.assert_allclose(layer.deviation, moments.deviation)
    metrics = json.loads((band_run.path / "metrics.json").read_text())
    assert metrics["classes"][1]["iou"] > 0.6
    assert cv2.imread(str(band_run.path / "samples.png")) is not None
    assert TrainConfig.from_dict(config).channels == 5


def test_pretrained_weights_keep_their_preprocessing_for_8_bits_alone(tmp_path):
    options = {"widths": (4, 8), "decoder_widths": (4,)}
    build_model("unet", 2, **options).save_weights(tmp_path / "a.weights.h5")
    config = TrainConfig(
        model="unet", data="x", weights=str(tmp_path / "a.weights.h5"), model_options=options
    ).resolve()
    for depth, is_measured in (("uint8", False), ("uint16", True)):
        dataset = load_dataset(write_bands(tmp_path / depth, 4, depth, count=2), channels=4)
        lines = []
        found = for_first_weights(config.replace(channels=4), dataset, lines.append)
        assert ("preprocessing" in found.model_options) == is_measured == bool(lines)
        found = for_first_weights(config.replace(channels=4, weights="none"), dataset, lines.append)
        assert len(found.model_options["preprocessing"]["mean"]) == 4


def test_a_run_whose_settings_say_other_channels_than_its_model_has_is_refused(band_run):
    other = Run(band_run.path, {**band_run.config, "channels": 6})
    with pytest.raises(InputError, match="says 6 channels, and its model takes 5; correct 'channels'"):
        Predictor(other)


def test_files_of_bands_are_predicted_and_others_are_refused(band_run, tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    image = noise(5, "uint16", (20, 24), seed=9)
    save(folder / "a.npy", image)
    save(folder / "b.npy", noise(4, "uint16"))
    (folder / "c.png").write_bytes(encode(picture()))
    command = [
        "predict",
        str(folder),
        "--run",
        str(band_run.path),
        "--output",
        str(tmp_path / "masks"),
        "--overlay",
    ]
    assert main(command) == 2
    errors = capsys.readouterr().err
    assert "b.npy: holds uint16 of 4 channels, and uint16 of 5 channels is wanted" in errors
    assert "c.png: holds uint8 of 3 channels" in errors
    mask = cv2.imread(str(tmp_path / "masks" / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, Predictor(band_run).predict(image).mask)
    assert cv2.imread(str(tmp_path / "masks" / "overlays" / "a.jpg")).shape[1] >= 24
    assert main(["evaluate", "--run", str(band_run.path), "--report", "--tta", "--sliding", "16", "16"]) == 0


def test_the_export_of_bands_takes_float_arrays_alone(band_run):
    loaded = tf.saved_model.load(str(band_run.export_path / "1"))
    signatures = loaded.signatures
    assert set(signatures) == {"serving_default", "logits", "labels"}
    image = noise(5, "uint16", (20, 24), seed=9).astype("float32")
    found = signatures["serving_default"](images=tf.constant(image[None]))["mask"][0]
    np.testing.assert_array_equal(found, Predictor(band_run).predict(image).mask)
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures["serving_default"](images=tf.zeros([1, 8, 8, 3]))


@pytest.mark.parametrize("channels", [1, pytest.param(4, marks=pytest.mark.long)])
def test_encoded_pictures_of_one_and_four_channels_are_answered(channels, tmp_path):
    options = {"widths": (4, 8), "decoder_widths": (4,), "batch_norm": False}
    model = build_model("unet", 3, (None, None, channels), **options)
    labels = {"classes": ("a", "b", "c"), "colors": ((0, 0, 0), (9, 9, 9), (99, 99, 99))}
    folder = export_saved_model(model, tmp_path / "1", warm_up=[(16, 16)], **labels)
    signatures = tf.saved_model.load(str(folder)).signatures
    image = noise(channels)
    contents = png(image if channels == 4 else image[..., 0], RGBA if channels == 4 else GREY)
    expected = Predictor(model).predict(image).mask
    found = signatures["bytes"](image_bytes=tf.constant([contents]))["mask_bytes"][0].numpy()
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(found, np.uint8), -1), expected)
    array = signatures["serving_default"](images=tf.constant(image[None]))["mask"][0]
    np.testing.assert_array_equal(array, expected)
    overlay = signatures["overlay"](image_bytes=tf.constant([contents]))["overlay_bytes"][0].numpy()
    assert Image.open(io.BytesIO(overlay)).size == (16, 12)
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures["bytes"](image_bytes=tf.constant([encode(picture())]))


def test_what_needs_rgb_is_refused_in_one_line(band_run, tmp_path):
    from keras_seg.inference.crf import CRF
    from keras_seg.inference.video import predict_video
    from keras_seg.serving.formats import export_litert

    with pytest.raises(InputError, match="--crf goes by the colors of RGB of 8 bits"):
        Predictor(band_run, crf=CRF())
    with pytest.raises(InputError, match="gives RGB of 8 bits, and the run takes uint16 of 5 channels"):
        predict_video(Predictor(band_run), tmp_path / "a.mp4", tmp_path)
    with pytest.raises(InputError, match="--precision int8 takes images of 8 bits"):
        export_litert(band_run, tmp_path)
    with pytest.raises(InputError, match="channels must be from 1 to 16, received 17"):
        TrainConfig(channels=17)
    with pytest.raises(InputError, match="color_factors does nothing for images of other channels"):
        TrainConfig(data="x", channels=5, color_factors=(0.5, 1.5))
    with pytest.raises(InputError, match="channels 5: shapes is drawn in RGB"):
        train(TrainConfig(channels=5, output=str(tmp_path / "run")), report=lambda line: None)


@pytest.mark.long
def test_onnx_and_litert_take_bands(band_run, tmp_path):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("ai_edge_litert")
    from keras_seg.serving.formats import export_litert, export_onnx

    for found in (export_onnx(band_run, tmp_path), export_litert(band_run, tmp_path, precisions=["float"])):
        ((_, certificate),) = found
        assert certificate.agreement == 1


def test_channels_may_be_told_by_the_description(tmp_path):
    description = {"channels": 5, "classes": ["disc"]}
    dataset = load_dataset(write_bands(tmp_path / "a", 5, description=description))
    assert dataset.images == ImageKind(5) and dataset.is_binary
