"""What to label next: unlabeled images, ordered by what they would teach a network."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_seg.data import read_image
from keras_seg.errors import InputError
from keras_seg.files import make_folder
from keras_seg.labeling.contact_sheet import draw_contact_sheet
from keras_seg.labeling.spreading import Features, cluster, spread_order
from keras_seg.labeling.tasks import Tasks
from keras_seg.labeling.uncertainty import Uncertainty, pixel_entropy, uncertainty, view_probabilities
from keras_seg.logits import most_probable
from keras_seg.spreadsheets import write_csv

SCORES = Uncertainty._fields


class Candidate(NamedTuple):
    """An unlabeled image.

    Attributes:
        path: its file.
        uncertainty: how unsure the network is of it.
        cluster: number of the cluster of images that it is like.
    """

    path: Path
    uncertainty: Uncertainty
    cluster: int


def rank_images(predictor, paths, *, by="entropy", clusters=20, scales=(), seed=0, progress=iter):
    """Orders unlabeled images by what they would teach.

    Args:
        predictor: Predictor of the network that is to learn.
        paths: Of the images.
        by: A name of `SCORES`.
        clusters: The first so many images are of one cluster each; 1 orders by the score alone.
        scales: More factors of the image's size for the disagreement, besides the image and its mirror image.
        seed: Of the clusters.
        progress: Wraps the paths, such as `tqdm.tqdm`.

    Returns:
        `(candidates, failed)`: a list of Candidate, the one to label first at the front; and one line for
        each image that could not be read.

    Raises:
        InputError: `by` or `clusters` is out of range, or more than one cluster is asked for and the network
            does not say which of its layers are the encoder.
    """
    if by not in SCORES:
        raise InputError(f"--by must be one of {', '.join(SCORES)}, received {by}")
    if clusters < 1:
        raise InputError(f"--clusters must be 1 or more, received {clusters}")
    features = Features(predictor.model) if clusters > 1 else None
    found, vectors, failed = [], [], []
    for path in progress(paths):
        try:
            image = read_image(path, predictor.images)
            found.append((path, uncertainty(view_probabilities(predictor, image, scales))))
            vectors.append(features(image) if features else ())
        except InputError as error:
            failed.append(str(error))
    if not found:
        return [], failed
    numbers = cluster(vectors, clusters, seed) if features else [0] * len(found)
    order = spread_order([getattr(each, by) for _, each in found], numbers)
    return [Candidate(*found[index], int(numbers[index])) for index in order], failed


def write_ranking(predictor, candidates, output, *, count=20, annotations="label-studio", image_prefix=None):
    """Writes ranking.csv, a contact sheet of the first images, and tasks for an annotation tool.

    Args:
        predictor: Predictor, whose masks the tasks hold for people to correct.
        candidates: as of `rank_images`.
        output: folder; made if missing.
        count: images of the sheet and the tasks.
        annotations: format of the tasks, a key of `FORMATS`; None for none.
        image_prefix: what stands before an image's name in Label Studio's tasks.

    Raises:
        InputError: the format cannot hold a name, or the output cannot be written.
    """
    output, first = make_folder(output), candidates[:count]
    columns = ["rank", "image", *SCORES, "cluster"]
    rows = (_row(*each) for each in enumerate(candidates, start=1))
    write_csv(output / "ranking.csv", [columns, *rows])
    if not first:
        return
    tasks, cells = None, []
    if annotations:
        paths, folder = [each.path for each in first], make_folder(output / "annotations")
        tasks = Tasks(annotations, folder, paths, predictor.classes, predictor.colors, image_prefix)
    for number, each in enumerate(first, start=1):
        image = read_image(each.path, predictor.images)
        probabilities = predictor.probabilities(image)
        unsure = pixel_entropy(probabilities) / np.log(probabilities.shape[-1])
        title = f"{number}. {each.path.name}\nentropy {each.uncertainty.entropy:.3f}, cluster {each.cluster}"
        cells.append((title, image, unsure))
        if tasks:
            tasks.add(each.path, *most_probable(probabilities, predictor.threshold))
    draw_contact_sheet(output / "contact_sheet.png", cells)
    if tasks:
        tasks.finish()


def _row(number, candidate):
    scores = (round(each, 6) for each in candidate.uncertainty)
    return [number, str(candidate.path), *scores, candidate.cluster]
