"""Where published weights are: in a folder, or to be downloaded, for each network."""

import hashlib
import queue
import threading
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from keras_seg.errors import InputError

CHOICES = ("auto", "imagenet", "none")
ANSWER_SECONDS = 6  # Without a network, a name's look-up alone can take half a minute.
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


def resolve_weights(network, choice="auto", folder="weights", *, encoder=None, preprocessing=None):
    """Finds the weights that a network starts from.

    Args:
        network: A key of `MODELS`.
        choice: `"auto"` (the published file of its encoder, from `folder` or downloaded into it; else He
            initialization), `"imagenet"` (the same, or an error), `"none"` or the path of a file.
        folder: Where published files lie.
        encoder, preprocessing: What the network was built with, where that is not its default.

    Returns:
        `(path for load_weights, one line)`; the path is None for fresh weights, and the line says which
        it is and how to get the file.

    Raises:
        InputError: A file given does not exist, or `"imagenet"` cannot be had.
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
        path, reason = _from_folder_or_network(files, f"{encoder}.safetensors", Path(folder))
        if path:
            return path, f"weights: {reason}."
    if choice == "imagenet":
        raise InputError(f"--weights imagenet: {reason}. Or choose --weights none.")
    return None, f"weights: He initialization, because {reason}."


def _from_folder_or_network(files, alternative, folder):
    """Returns `(path or None, what happened)`."""
    best = files[0]
    names = [file.name for file in files]
    if best.name.endswith(".pth"):
        names.append(alternative)
    for name in names:
        if (folder / name).is_file():
            return folder / name, f"{folder / name}, which was there"
    advice = f"put {best.url} into {folder}"
    try:
        return download(best, folder), f"{best.url}, downloaded to {folder / best.name}"
    except OSError as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return None, f"{best.name} is not in {folder} and cannot be downloaded ({reason}): {advice}"


def download(file, folder):
    """Downloads a published file, whole and with its checksum, or not at all.

    Args:
        file: `Published`.
        folder: Where it goes; made if it is missing.

    Returns:
        Its path.

    Raises:
        OSError: No answer within a few seconds, a broken transfer, another checksum, or an unwritable folder.
    """
    target = Path(folder) / file.name
    part = target.with_name(f"{target.name}.part")
    digest = hashlib.new(file.algorithm)
    with _open(file.url) as response:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            length = int(response.headers.get("Content-Length") or 0)
            with (
                part.open("wb") as output,
                tqdm(total=length or None, unit="B", unit_scale=True, desc=file.name) as bar,
            ):
                received = 0
                while block := response.read(1 << 20):
                    output.write(block)
                    digest.update(block)
                    received += len(block)
                    bar.update(len(block))
            if received < length:
                raise OSError(f"the transfer ended after {received} of {length} bytes")
            if not digest.hexdigest().startswith(file.digest):
                raise OSError(f"its {file.algorithm} is {digest.hexdigest()}, not {file.digest}")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    return target


def _open(url):
    """Opens an address, or raises an OSError after a few seconds; in a thread, as look-ups have no limit."""
    answers = queue.SimpleQueue()

    def ask():
        try:
            answers.put(urllib.request.urlopen(url, timeout=ANSWER_SECONDS))
        except Exception as error:  # Whatever it is, it belongs to the thread that waits.
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {ANSWER_SECONDS} seconds") from None
    if isinstance(answer, OSError):
        raise answer
    if isinstance(answer, Exception):
        raise OSError(str(answer)) from answer
    return answer
