"""Which labels to doubt: wrong labels are planted, and counted among the images that are doubted most.

    CLEANLAB=doubts/bin/python python -m tests.label_doubts --camvid CAMVID --output FOLDER [--seeds 0 1]

In `shapes` and in CamVid at a quarter of its size, 5 % of the masks are made wrong in four ways: one region
has another class, the mask is shifted, a class is eroded, or it is another image's mask. Small networks learn
from two thirds of the images, wrong labels included, and judge the last third. The table has the precision
among as many images as were planted, beside that of cleanlab's scores for segmentation, from the same
probabilities. What each network said is kept in FOLDER, and the command goes on from there when it is started
again.
"""

import argparse
import os
import subprocess
from pathlib import Path

import cv2
import numpy as np

from tests.quick_network import QuickNetwork

KINDS = ("swapped", "shifted", "eroded", "exchanged")
PART, FOLDS = 0.05, 3
SIZE = (120, 90)  # (width, height) of CamVid's images here
STEPS = {"shapes": 250, "camvid": 250}
CROPS = {"shapes": (64, 64), "camvid": (80, 112)}
IGNORE = 255
# cleanlab knows no pixels to ignore: they are given the class that the network gives them.
CLEANLAB_SCORES = """
import sys
import numpy as np
from cleanlab.segmentation.rank import get_label_quality_scores
found = np.load(sys.argv[1])
masks, probabilities = found["masks"].astype(int), found["probabilities"].astype(np.float32)
masks = np.where(masks == 255, probabilities.argmax(axis=-1), masks)
probabilities = np.moveaxis(probabilities, -1, 1)
scores, _ = get_label_quality_scores(masks, probabilities, method="softmin", verbose=False)
np.savez(sys.argv[2], softmin=-scores)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--camvid", type=Path, help="folder with train, trainannot, val and valannot")
    parser.add_argument("--output", type=Path, required=True, help="folder for what the networks say")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    names = ("shapes", "camvid") if arguments.camvid else ("shapes",)
    rows = []
    for name in names:
        images, masks, classes = load(name, arguments.camvid)
        for seed in arguments.seeds:
            wrong, planted = plant(masks, len(classes), np.random.default_rng(seed))
            said = arguments.output / f"{name}-{seed}.npz"
            if not said.exists():
                said = judge(said, name, images, wrong, classes, seed)
            rows.append((name, seed, *precisions(said, wrong, planted)))
    summarize(rows)


def load(name, camvid):
    """Images [N, H, W, 3], masks [N, H, W] and names of classes."""
    if name == "shapes":
        from keras_seg.data import draw_shapes

        dataset = draw_shapes(counts={"train": 300})
        samples = dataset.split("train")
        return (
            np.stack([sample.image for sample in samples]),
            np.stack([sample.mask for sample in samples]),
            dataset.classes,
        )
    images, masks = [], []
    for path in sorted(camvid.glob("train/*.jpg")) + sorted(camvid.glob("val/*.jpg")):
        mask = cv2.imread(str(path.parent.with_name(f"{path.parent.name}annot") / f"{path.stem}.png"), 0)
        images.append(cv2.resize(cv2.imread(str(path)), SIZE, interpolation=cv2.INTER_AREA)[..., ::-1])
        mask = cv2.resize(mask, SIZE, interpolation=cv2.INTER_NEAREST)
        masks.append(np.where(mask == 11, IGNORE, mask).astype(np.uint8))
    return np.stack(images), np.stack(masks), tuple(f"class {index}" for index in range(11))


def plant(masks, num_classes, rng):
    """Returns masks of which 5 % are wrong, and {index: kind} of these."""
    wrong, planted = masks.copy(), {}
    chosen = rng.permutation(len(masks))[: round(PART * len(masks))]
    for number, index in enumerate(chosen.tolist()):
        kind = KINDS[number % len(KINDS)]
        wrong[index] = WAYS[kind](masks, index, num_classes, rng)
        planted[index] = kind
    return wrong, planted


def swapped(masks, index, num_classes, rng):
    """One region of 2 % of the image or more has another class."""
    mask = masks[index].copy()
    regions = []
    for label in np.unique(mask[mask != IGNORE]):
        count, numbers = cv2.connectedComponents((mask == label).astype(np.uint8))
        regions += [numbers == number for number in range(1, count)]
    region = rng.choice([each for each in range(len(regions)) if regions[each].mean() >= 0.02])
    own = mask[regions[region]][0]
    mask[regions[region]] = rng.choice([each for each in range(num_classes) if each != own])
    return mask


def shifted(masks, index, num_classes, rng):
    """All is shifted by a tenth of the height, to one of the four corners."""
    mask = masks[index]
    by = round(mask.shape[0] / 10)
    down, right = rng.choice([-by, by], 2)
    padded = np.pad(mask, by, mode="edge")
    return padded[by + down :, by + right :][: mask.shape[0], : mask.shape[1]]


def eroded(masks, index, num_classes, rng):
    """A class, not the largest, loses a rim of a sixteenth of the height to what is around it."""
    mask = masks[index]
    counts = np.bincount(mask[mask != IGNORE], minlength=num_classes)
    counts[counts.argmax()] = 0
    likely = np.flatnonzero(counts >= 0.03 * mask.size)
    label = rng.choice(likely) if len(likely) else counts.argmax()
    inside = (mask == label).astype(np.uint8)
    radius = round(mask.shape[0] / 16)
    left = cv2.erode(inside, np.ones((2 * radius + 1,) * 2, np.uint8), borderValue=1)
    # Each pixel of the rim takes the class of the nearest pixel of another.
    others = (inside > 0) | (mask == IGNORE)
    _, nearest = cv2.distanceTransformWithLabels(
        others.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(nearest.max() + 1, np.uint8)
    values[nearest[~others]] = mask[~others]
    return np.where((inside > 0) & (left == 0), values[nearest], mask)


def exchanged(masks, index, num_classes, rng):
    """The mask of another image."""
    return masks[(index + rng.integers(1, len(masks))) % len(masks)]


WAYS = {"swapped": swapped, "shifted": shifted, "eroded": eroded, "exchanged": exchanged}


def judge(said, name, images, masks, classes, seed):
    """Writes the probabilities of each image by the network that did not learn from it."""
    fold_of = np.random.default_rng(seed + 100).permutation(len(images)) % FOLDS
    network = QuickNetwork(len(classes), STEPS[name])
    probabilities = np.empty((*masks.shape, len(classes)), np.float16)
    for fold in range(FOLDS):
        part = said.with_name(f"{said.stem}-fold{fold}.npy")
        held_out = np.flatnonzero(fold_of == fold)
        if not part.exists():
            learn = np.flatnonzero(fold_of != fold)
            model = trained(network, images[learn], masks[learn], classes, seed, CROPS[name])
            np.save(part.with_suffix(".part.npy"), predicted(model, images[held_out]))
            part.with_suffix(".part.npy").replace(part)
            print(f"{name}, seed {seed}: network {fold + 1} of {FOLDS}", flush=True)
        probabilities[held_out] = np.load(part)
    np.savez(said.with_suffix(".part.npz"), masks=masks, probabilities=probabilities)
    return said.with_suffix(".part.npz").rename(said)


def trained(network, images, masks, classes, seed, crop):
    from keras_seg.data import ArraySample, Dataset
    from keras_seg.palette import default_colors

    samples = [ArraySample(*pair, str(index)) for index, pair in enumerate(zip(images, masks, strict=True))]
    colors = default_colors(len(classes)).tolist()
    return network.train(Dataset("planted", classes, colors, None, {"train": samples}), crop, seed)


def predicted(model, images):
    from keras_seg import Predictor

    predictor = Predictor(model)
    return np.stack([predictor.probabilities(image).astype(np.float16) for image in images])


def precisions(said, wrong, planted):
    """Planted images among the first: by our score, and by cleanlab's two where it is installed."""
    from keras_seg.labeling.doubts import doubt_score

    probabilities = np.load(said)["probabilities"]
    ours = [
        doubt_score(mask, each.astype(np.float32)) for mask, each in zip(wrong, probabilities, strict=True)
    ]
    scores = {"ours": np.array(ours)}
    if python := os.environ.get("CLEANLAB"):
        theirs = said.with_name(f"{said.stem}-cleanlab.npz")
        if not theirs.exists():
            subprocess.run([python, "-c", CLEANLAB_SCORES, str(said), str(theirs)], check=True)
        scores |= dict(np.load(theirs))
    found = {}
    for name, values in scores.items():
        first = np.argsort(-values, kind="stable")[: len(planted)].tolist()
        hits = [planted[index] for index in first if index in planted]
        found[name] = (len(hits) / len(planted), {kind: hits.count(kind) for kind in KINDS})
    return len(planted), found


def summarize(rows):
    print(f"{'data':8} seed planted  score      precision  {'  '.join(KINDS)}")
    for name, seed, count, found in rows:
        for score, (precision, kinds) in found.items():
            hits = "  ".join(f"{kinds[kind]:{len(kind)}}" for kind in KINDS)
            print(f"{name:8} {seed:4} {count:7}  {score:10} {precision:9.3f}  {hits}")


if __name__ == "__main__":
    main()
