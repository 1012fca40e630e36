"""The end of a run: metrics, images and the export of its best model."""

from functools import partial

from tqdm import tqdm

from keras_seg.data import eval_batches
from keras_seg.evaluation import evaluate, write_metrics
from keras_seg.evaluation.tables import fraction
from keras_seg.evaluation.verdict import baseline, has_learned, next_steps
from keras_seg.inference import Predictor
from keras_seg.serving import export_saved_model, next_version
from keras_seg.training.loop.pictures import draw_curves, draw_samples
from keras_seg.training.run_state.run_folder import note_finished

_BAR_AFTER = 2  # Seconds


def finish(run, dataset, progress, report):
    """Evaluates, draws and exports the best model.

    Args:
        run: `Run`.
        dataset: `Dataset`.
        progress: `Progress`.
        report: Function that is given each line for the reader.
    """
    model = run.load_model()
    predictor = Predictor(model, dataset.classes, dataset.colors, threshold=run.threshold)
    # For a reader at a terminal, where it takes longer.
    bar = {"total": len(dataset.split("val")), "unit": "image", "delay": _BAR_AFTER, "disable": None}
    progress_bar = partial(tqdm, desc="measuring the best model", **bar)
    metrics = evaluate(predictor, eval_batches(dataset, "val"), dataset.classes, progress_bar)
    write_metrics(run.path / "metrics.json", metrics)
    draw_curves(progress.rows, run.path / "curves.png")
    draw_samples(predictor, dataset, run.path / "samples.png")
    version = next_version(run.export_path)
    options = {"threshold": run.threshold, "depth": dataset.images.depth}
    export_saved_model(model, version, classes=dataset.classes, colors=dataset.colors, **options)
    note_finished(run, progress.step)
    if line := learned_nothing(metrics):
        report(line)
    if metrics["mean_iou"] is None:
        report("no pixel of the validation masks is labeled, so the last model was kept")
    report(
        f"best validation mean IoU {fraction(metrics['mean_iou'])}, pixel accuracy "
        f"{fraction(metrics['pixel_accuracy'])}; {run.path} holds metrics.json, history.csv, curves.png, "
        f"samples.png, best.keras and {version.relative_to(run.path)}"
    )
    improve, use = next_steps(run.path, metrics, progress.rows, not run.objects)
    report(f"next: {improve.reason}\n  {improve.command}")
    report(f"or {use.reason}\n  {use.command}")


def learned_nothing(metrics):
    """Says what to try where a network is no better than one that gives every pixel the commonest class.

    Args:
        metrics: Of `evaluate`.

    Returns:
        One line, or None.
    """
    if has_learned(metrics):
        return None
    name, mean_iou, _ = baseline(metrics)
    return (
        f"warning: mean IoU {fraction(metrics['mean_iou'])} is no better than {fraction(mean_iou)}, which "
        f"labeling every pixel {name} gives: the network has learned nothing "
        "yet; try more --epochs, a --learning-rate of a third, pretrained --weights, or --loss ce+dice where "
        "classes are rare"
    )
