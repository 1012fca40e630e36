"""What to label next, against chance: mean IoU on CamVid as images are labeled in rounds.

    python -m tests.active_learning CAMVID --output FOLDER [--seeds 0 1 2]

A small network learns from scratch from 40 images, then from 40 more in each of four rounds: what `rank`
puts first, or random ones. Every training takes as many steps. The metric of each round is written to FOLDER
at once, and the command goes on from there when it is started again; at the end it draws the curve.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np

from tests.quick_network import QuickNetwork

SIZE = (120, 90)  # (width, height), a quarter of CamVid's
CROP, STEPS = (80, 112), 200
LABELED = (40, 80, 120, 160, 200)
WAYS = ("random", "rank")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camvid", type=Path, help="folder with train, trainannot, val and valannot")
    parser.add_argument("--output", type=Path, required=True, help="folder for the metrics of each round")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    dataset = load(arguments.camvid, arguments.output / "images")
    network = QuickNetwork(dataset.num_classes, STEPS)
    for seed in arguments.seeds:
        for count in LABELED:
            for way in WAYS:
                run_round(network, dataset, arguments.output, seed, way, count)
    summarize(arguments.output, arguments.seeds)


def load(camvid, folder):
    """CamVid at a quarter of its size, as a data folder."""
    from keras_seg.data import load_dataset

    for path in sorted(camvid.glob("*/*")):
        target = folder / path.relative_to(camvid).with_suffix(".png")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            interpolation = cv2.INTER_NEAREST if "annot" in path.parent.name else cv2.INTER_AREA
            picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            cv2.imwrite(str(target), cv2.resize(picture, SIZE, interpolation=interpolation))
    (folder / "dataset.json").write_text((camvid / "dataset.json").read_text())
    return load_dataset(folder)


def run_round(network, dataset, output, seed, way, count):
    """Trains on `count` images, and chooses those of the next round."""
    result = output / f"{way}-{seed}-{count}.json"
    if result.exists():
        return
    first = count == LABELED[0]
    if first and way != WAYS[0]:  # Both ways start from the same images and the same network.
        start = json.loads((output / f"{WAYS[0]}-{seed}-{count}.json").read_text())
        chosen, mean_iou, rest = start["labeled"], start["mean_iou"], start["ranked"]
    else:
        chosen = labeled_images(dataset, output, seed, way, count)
        model = trained(network, dataset, chosen, seed)
        mean_iou = measured(model, dataset)
        left = [sample for sample in dataset.split("train") if sample.name not in set(chosen)]
        needs_order = count != LABELED[-1] and (first or way == "rank")
        rest = ranked(model, dataset, left) if needs_order else []
    content = {"labeled": chosen, "mean_iou": mean_iou, "ranked": rest}
    result.with_suffix(".part").write_text(json.dumps(content))
    result.with_suffix(".part").replace(result)
    print(f"seed {seed}, {way}: {count} images, mean IoU {mean_iou:.4f}", flush=True)


def labeled_images(dataset, output, seed, way, count):
    names = [sample.name for sample in dataset.split("train")]
    mixed = np.random.default_rng(seed).permutation(names).tolist()
    if count == LABELED[0] or way == "random":
        return mixed[:count]
    before = json.loads((output / f"{way}-{seed}-{LABELED[LABELED.index(count) - 1]}.json").read_text())
    return before["labeled"] + before["ranked"][: count - len(before["labeled"])]


def trained(network, dataset, names, seed):
    chosen = [sample for sample in dataset.split("train") if sample.name in set(names)]
    return network.train(dataclasses.replace(dataset, splits={"train": chosen}), CROP, seed)


def measured(model, dataset):
    from keras_seg.data import eval_batches
    from keras_seg.evaluation import evaluate

    return evaluate(model, eval_batches(dataset, "val"), dataset.classes)["mean_iou"]


def ranked(model, dataset, samples):
    """Names of unlabeled images, the one to label first at the front: of what one round labels."""
    from keras_seg import Predictor
    from keras_seg.labeling.ranking import rank_images

    predictor = Predictor(model, dataset.classes)
    batch = LABELED[1] - LABELED[0]
    candidates, failed = rank_images(predictor, [sample.image for sample in samples], clusters=batch)
    assert not failed, failed
    return [candidate.path.stem for candidate in candidates[:batch]]


def metric(output, way, seed, count):
    return json.loads((output / f"{way}-{seed}-{count}.json").read_text())["mean_iou"]


def summarize(output, seeds):
    """Prints the table and draws the curve."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for way in WAYS:
        values = np.array([[metric(output, way, seed, count) for count in LABELED] for seed in seeds])
        mean = values.mean(axis=0)
        print(
            f"{way:8}", "  ".join(f"{count}: {value:.4f}" for count, value in zip(LABELED, mean, strict=True))
        )
        axes.plot(LABELED, mean, "o-", label=way)
        axes.fill_between(LABELED, values.min(axis=0), values.max(axis=0), alpha=0.2)
    axes.set(xlabel="labeled images", ylabel="mean IoU (validation)", title=f"CamVid, {len(seeds)} seeds")
    axes.legend()
    figure.savefig(output / "curve.png", dpi=120)


if __name__ == "__main__":
    main()
