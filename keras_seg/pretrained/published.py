"""Where published weights are: in a folder, or to be downloaded, for each network."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from keras_seg import registry
from keras_seg.errors import InputError
from keras_seg.files import cache_folder
from keras_seg.hints import PathLike
from keras_seg.layers.preprocessing import ALIKE
from keras_seg.pretrained.downloads import download, other_checksum

CHOICES = ("auto", "imagenet", "none")


def resolve_weights(
    network: str,
    choice: str = "auto",
    folder: PathLike = "weights",
    *,
    encoder: str | None = None,
    preprocessing: str | None = None,
    has_fc6: bool = True,
    choices: Sequence[str] = CHOICES,
) -> tuple[Path | None, str]:
    """Finds the weights that a network starts from.

    Args:
        network: Name of a network.
        choice: `"auto"` (the published file of its encoder, from `folder` or downloaded; else He
            initialization), `"imagenet"` (the same, or an error), `"none"`, what `load_pretrained` calls the
            whole network, or the path of a file.
        folder: Where published files lie.
        encoder, preprocessing: What the network was built with, where that is not its default.
        has_fc6: Whether it holds the classifier's dense layers; else a file without them is taken first.
        choices: Which words the command takes, so that no other is advised.

    Returns:
        `(path for load_weights, one line)`; the path is None for fresh weights, and the line says which
        it is and how to get the file.

    Raises:
        InputError: A file given does not exist, one of a published name has another checksum, or `"imagenet"`
            or the whole network cannot be had.
    """
    if choice == "none":
        return None, "weights: He initialization, as asked for."
    if choice not in choices:
        if Path(choice).is_file():
            return Path(choice), f"weights: from {choice}."
        row = registry.networks().get(network)
        whole = {file.pretrained: file for file in (row.weights if row else ()) if file.pretrained}
        if choice not in whole:
            known = (*choices, *whole)
            words = f"one of {', '.join(known)}" if len(known) > 1 else known[0]
            raise InputError(f"--weights {choice} is not a file. Give a weights file or {words}.")
        try:
            path = fetch(whole[choice], folder)
        except OSError as error:
            raise InputError(cannot_be_had(whole[choice], folder, error)) from None
        return path, f"weights: {choice}, from {path}."
    encoder, files = _encoder_files(network, encoder, preprocessing)
    if not files:
        built = f" with preprocessing {preprocessing!r}" if preprocessing else ""
        reason = f"nobody publishes ImageNet weights for {network}{built}"
    else:
        files = sorted(files, key=lambda file: has_fc6 == ("_notop" in file.name))
        path, reason = _from_folder_or_network(files, f"{encoder}.safetensors", Path(folder))
        if path:
            return path, f"weights: {reason}."
    if choice == "imagenet":
        way_out = "choose --weights none" if "none" in choices else "give a file with --weights FILE"
        raise InputError(f"--weights imagenet: {reason}. Or {way_out}.")
    return None, f"weights: He initialization, because {reason}."


def _encoder_files(network, encoder, preprocessing):
    """Returns `(name of the network's encoder, its files of that preprocessing, the best first)`."""
    row = registry.networks().get(network)
    name = encoder or (row and row.default_encoder)
    found = registry.encoders().get(name)
    if found is None:
        return name, ()
    if preprocessing in (None, "none"):
        is_default = row and name == row.default_encoder
        preprocessing = registry.default_preprocessing(row) if is_default else found.preprocessing
    files = [file for file in found.weights if file.preprocessing == preprocessing]
    if not files and preprocessing in ALIKE:
        files = [file for file in found.weights if file.preprocessing in ALIKE]
    return name, files


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
        return None, cannot_be_had(best, folder, error)


def cannot_be_had(file, folder, error):
    """What is said of a published file that is not there and cannot be downloaded."""
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{file.name} is not in {folder} and cannot be downloaded ({reason}): put {file.url} into {folder}"


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


def fetch(file, folder):
    """Finds a published file as `find_published` does, or downloads it.

    Raises:
        InputError: See `find_published`.
        OSError: See `download`.
    """
    return find_published(file, folder) or download(file, cache_folder())
