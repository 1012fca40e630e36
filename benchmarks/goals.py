"""What `speed.py` measured, a line for each network, and whether the goals are met.

    python benchmarks/goals.py FILE [FILE ...]

Reads what `speed.py --json` wrote; of a case that several files have, the last counts.
"""

import argparse
import json
from pathlib import Path

# Whether it is training, and the peer -> what the peer's time over ours is to be at least.
GOALS = {(True, "PyTorch"): 1.2, (False, "PyTorch"): 1.2, (False, "onnxruntime"): 1.0}
GOALS_OF = {"fcn8": {(True, "PyTorch"): 1.6}}
SHOWN = ((True, "PyTorch"), (False, "PyTorch"), (False, "onnxruntime"), (False, "SavedModel"))
OURS = "keras_seg"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+")
    results = {}
    for path in parser.parse_args().files:
        results.update(json.loads(path.read_text(encoding="utf-8"))["cases"])
    print(format_goals(results))


def format_goals(results):
    """Returns a Markdown table: the peers' times over ours, peak memory, and the goals that are missed.

    Args:
        results: `{"train-NETWORK" or "predict-NETWORK": {"float32": rows of `summarize`}}`.
    """
    networks = list(dict.fromkeys(case.partition("-")[2] for case in results))
    lines = [
        "| network | training: PyTorch | prediction: PyTorch | onnxruntime | SavedModel | "
        "training, peak MiB, ours / PyTorch | prediction, the same | goals |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    verdicts = {}
    for network in networks:
        rows = {is_training: _rows(results, network, is_training) for is_training in (True, False)}
        verdicts[network] = _verdict(network, rows)
        cells = [network, *(_ratio_cell(rows[is_training], peer) for is_training, peer in SHOWN)]
        cells += [_memory_cell(rows[True]), _memory_cell(rows[False]), verdicts[network]]
        lines.append(f"| {' | '.join(cells)} |")
    count = list(verdicts.values()).count("met")
    return "\n".join([*lines, "", f"All goals are met by {count} of {len(networks)} networks."])


def _rows(results, network, is_training):
    rows = results.get(f"{'train' if is_training else 'predict'}-{network}", {}).get("float32", [])
    return {row["name"]: row for row in rows}


def _verdict(network, rows):
    goals = {**GOALS, **GOALS_OF.get(network, {})}
    found = {}
    for (is_training, peer), goal in goals.items():
        ratio = _ratio(rows[is_training], peer)
        task = f"{'training' if is_training else 'prediction'}, {peer}"
        if ratio is None:
            found[task] = "not measured"
        elif ratio < goal:
            found[task] = f"{ratio:.2f} for {goal:g}"
    return "; ".join(f"{task}: {what}" for task, what in found.items()) or "met"


def _ratio(rows, peer):
    return rows.get(peer, {}).get("ratio")


def _ratio_cell(rows, peer):
    ratio = _ratio(rows, peer)
    if ratio is not None:
        return f"{ratio:.2f}"
    return "failed" if "skipped" in rows.get(peer, {}) or "skipped" in rows.get(OURS, {}) else ""


def _memory_cell(rows):
    peaks = [rows.get(name, {}).get("peak_mib") for name in (OURS, "PyTorch")]
    return " / ".join("-" if peak is None else f"{peak:.0f}" for peak in peaks) if any(peaks) else ""


if __name__ == "__main__":
    main()
