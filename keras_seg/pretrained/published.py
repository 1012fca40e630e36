"""Where published weights are: in a folder, or to be downloaded, for each network."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from keras_seg.errors import InputError
from keras_seg.pretrained.downloads import cache_folder, download, other_checksum

CHOICES = ("auto", "imagenet", "none")
_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_TORCH = "https://download.pytorch.org/models"
_CAFFE = "http://dl.caffe.berkeleyvision.org"


class Published(NamedTuple):
    """A published file.

    Attributes:
        url: Its address; its name is the address's last part.
        algorithm: Of the checksum, a name that hashlib knows.
        digest: The checksum, or its first digits as PyTorch publishes them in the name.
    """

    url: str
    algorithm: str
    digest: str

    @property
    def name(self):
        return self.url.rpartition("/")[2]


# (encoder, preprocessing) -> files, the best first; the addresses and checksums that keras.applications,
# torchvision and Caffe's model zoo publish.
ENCODERS = {
    ("vgg16", "caffe"): (
        Published(
            f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
            "md5",
            "64373286793e3c8b2b4e3219cbf3544b",
        ),
        Published(
            f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "md5",
            "6d6bbae143d832006294945121d1f1fc",
        ),
    ),
    ("vgg16", "torch"): (Published(f"{_TORCH}/vgg16-397923af.pth", "sha256", "397923af"),),
    ("vgg16_bn", "torch"): (Published(f"{_TORCH}/vgg16_bn-6c64b313.pth", "sha256", "6c64b313"),),
    ("resnet50", "torch"): (Published(f"{_TORCH}/resnet50-0676ba61.pth", "sha256", "0676ba61"),),
    ("resnet50_keras", "caffe"): (
        Published(
            f"{_KERAS}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "md5",
            "4d473c1dd8becc155b73f8504c6f6626",
        ),
    ),
    ("resnet101", "torch"): (Published(f"{_TORCH}/resnet101-63fe2227.pth", "sha256", "63fe2227"),),
    ("resnet101_keras", "caffe"): (
        Published(
            f"{_KERAS}/resnet/resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "md5",
            "88cf7a10940856eca736dc7b7e228a21",
        ),
    ),
    ("caffenet", "caffe"): (
        Published(
            f"{_CAFFE}/bvlc_reference_caffenet.caffemodel", "sha1", "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46"
        ),
    ),
}


# encoder -> networks that start from it, built without options; the others have no published encoder.
NETWORKS = {
    "vgg16": (
        *("fcn8", "fcn16", "fcn32", "fcn8_atonce"),
        *("fcn8_caffe", "fcn16_caffe", "fcn32_caffe", "fcn8_atonce_caffe"),
        *("unet_vgg16", "segnet", "deeplabv1", "vgg16_classifier"),
    ),
    "vgg16_bn": ("fcn8_vgg16_bn",),
    "resnet50": (
        *("fcn8_resnet50", "fcn_resnet50", "deeplabv3_resnet50"),
        *("refinenet", "pspnet", "deeplabv2", "deeplabv3", "deeplabv3plus", "fastfcn"),
    ),
    "resnet101": ("fcn_resnet101", "deeplabv3_resnet101"),
    "caffenet": ("fcn_alexnet",),
}


def resolve_weights(
    network, choice="auto", folder="weights", *, encoder=None, preprocessing=None, has_fc6=True
):
    """Finds the weights that a network starts from.

    Args:
        network: A key of `MODELS`.
        choice: `"auto"` (the published file of its encoder, from `folder` or downloaded; else He
            initialization), `"imagenet"` (the same, or an error), `"none"` or the path of a file.
        folder: Where published files lie.
        encoder, preprocessing: What the network was built with, where that is not its default.
        has_fc6: Whether it holds the classifier's dense layers; else a file without them is taken first.

    Returns:
        `(path for load_weights, one line)`; the path is None for fresh weights, and the line says which
        it is and how to get the file.

    Raises:
        InputError: A file given does not exist, one of a published name has another checksum, or `"imagenet"`
            cannot be had.
    """
    if choice == "none":
        return None, "weights: He initialization, as asked for."
    if choice not in CHOICES:
        if not Path(choice).is_file():
            raise InputError(
                f"--weights {choice} is no file. Give a weights file or one of {', '.join(CHOICES)}."
            )
        return Path(choice), f"weights: from {choice}."
    encoder = encoder or next((name for name, networks in NETWORKS.items() if network in networks), None)
    fitting = (
        files
        for (name, mode), files in ENCODERS.items()
        if name == encoder and preprocessing in (None, "none", mode)
    )
    files = next(fitting, None)
    if files is None:
        built = f" with preprocessing {preprocessing!r}" if preprocessing else ""
        reason = f"nobody publishes ImageNet weights for {network}{built}"
    else:
        files = sorted(files, key=lambda file: has_fc6 == ("_notop" in file.name))
        path, reason = _from_folder_or_network(files, f"{encoder}.safetensors", Path(folder))
        if path:
            return path, f"weights: {reason}."
    if choice == "imagenet":
        raise InputError(f"--weights imagenet: {reason}. Or choose --weights none.")
    return None, f"weights: He initialization, because {reason}."


def _from_folder_or_network(files, alternative, folder):
    """Returns `(path or None, what happened)`."""
    best = files[0]
    for file in files:
        path = find_published(file, folder)
        if path:
            return path, f"{path}, which was there"
    if best.name.endswith(".pth") and (folder / alternative).is_file():
        return folder / alternative, f"{folder / alternative}, which was there"
    try:
        path = download(best, cache_folder())
        return path, f"{best.url}, downloaded to {path}"
    except OSError as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        advice = f"put {best.url} into {folder}"
        return None, f"{best.name} is not in {folder} and cannot be downloaded ({reason}): {advice}"


def find_published(file, folder):
    """Finds a published file in a folder, or else among the downloads.

    Args:
        file: `Published`.
        folder: Where it may lie.

    Returns:
        Its path; None if it is in neither.

    Raises:
        InputError: One of its name is there whose checksum is another.
    """
    folders = [Path(folder)]
    with suppress(OSError):
        folders.append(cache_folder())
    for path in (folder / file.name for folder in folders):
        if path.is_file():
            found = other_checksum(file, path)
            if found:
                raise InputError(
                    f"{path}: its {file.algorithm} is {found}, not {file.digest}: it was altered, or not all "
                    f"of it arrived. Remove it and get {file.url}, or give it another name."
                )
            return path
    return None
