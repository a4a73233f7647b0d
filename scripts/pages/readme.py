"""Write the results on the README and on ``docs/benchmarks.md`` from the records in ``docs/``.

    python scripts/pages/readme.py

``scripts/measure/`` measures what ``docs/results.json`` and ``docs/benchmarks.json`` hold.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import ROOT, records, tables
from common.markdown import Blocks, paragraph, table, written
from common.networks import NETWORKS
from common.records import Record
from common.rows import Row, row

PAGES = ROOT / "README.md", ROOT / "docs" / "benchmarks.md"
_ALL = 10_000


def accuracy() -> str:
    """Return the loss of accuracy of the codings on every network, and what else is said of it."""
    lines = []
    for network in NETWORKS.values():
        ann = 100 * _first(network.name, "few-spike:8")["ann_accuracy"]
        cells = [_loss(network.name, text) for text in tables.ACCURACY.values()]
        lines.append([network.title, f"{ann:.2f} %", *cells])
    draws = {
        len(_found(name, row(text), _ALL)) for name in NETWORKS for text in tables.ACCURACY.values()
    }
    assert draws <= {1, max(draws)}, f"entries of the table have {draws} draws"
    resnet = "cifar10_resnet"
    agreement = [
        _first(name, "few-spike:8")["agreement"]
        for name, network in NETWORKS.items()
        if network.dataset == "cifar10"
    ]
    at_once, signed = (_first(resnet, text, 2000) for text in ("rate:16,lookahead=0", "signed:16"))
    given = ", ".join(item.title for item in NETWORKS.values() if not item.script)
    rows = table(["network", "ANN", *tables.ACCURACY], lines, left=1)
    return "\n\n".join([
        rows,
        paragraph(
            f"Entries are means over {max(draws)} draws of the training images for thresholds, "
            f"those in italics come from one draw; measured at {_versions()}. The networks are "
            "trained by `scripts/train/`, but for one, which was given trained, without a script, "
            f"and is not in this repository: {given}."
        ),
        paragraph(
            "On CIFAR-10 with `few-spike` T=8, ANN and SNN choose the same class for "
            f"{100 * min(agreement):.1f} to {100 * max(agreement):.1f} % of the images. Without "
            f"look-ahead, `rate` T=16 loses {_points(at_once)} points on the ResNet, and with "
            f"signed spikes in its place {_points(signed)} (both on {at_once['samples']:,} images)."
        ),
    ])  # fmt: skip


def sentence() -> str:
    """Say what the tables say in a sentence."""
    losses, shares = [], []
    for name in NETWORKS:
        found = _found(name, row("few-spike:8"), _ALL)
        counted = _first(name, "few-spike:8")
        accuracy = np.mean([item["snn_accuracy"] for item in found])
        losses.append(100 * (counted["ann_accuracy"] - accuracy))
        shares.append(counted["sops_per_sample"] / counted["macs_per_sample"])
    return paragraph(
        f"In a sentence: with 8 steps of the default coding, these {len(losses)} networks lose at "
        f"most {max(losses):.2f} points of accuracy, and take {min(shares):.1f} to "
        f"{max(shares):.1f} synaptic operations for each MAC of the ANN."
    )


def tensorgenn() -> str:
    """Return what the method of TensorGeNN's time gives, beside the default coding."""
    lines = []
    for name, text, count in tables.TENSORGENN:
        item, record = row(text), _first(name, text, count)
        note = ", not normalised" if item.options.get("threshold") == "none" else ""
        lines.append([
            NETWORKS[name].title.split(",")[0],
            f"`{item.coding}`{note}",
            f"{record['steps']:,}",
            f"{record['samples']:,}",
            f"{100 * record['ann_accuracy']:.2f} %",
            f"{100 * record['snn_accuracy']:.2f} %",
            _count(record["spikes_per_sample"]),
            _operations(record),
        ])  # fmt: skip
    heads = [
        "network", "coding", "steps", "images", "ANN", "SNN",
        "spikes / sample", "synaptic operations / MACs",
    ]  # fmt: skip
    return table(heads, lines, left=2)


def imagenet() -> str:
    """Return what the codings lose on a deep ImageNet network, as far as that is recorded."""
    lines = []
    known = {
        str(Row(found["coding"], found["options"])): found
        for found in records.load(records.IMAGENET)
    }
    for item in map(row, tables.IMAGENET):
        record = known.get(str(item))
        if record is None:
            continue
        others = str(item).partition(",")[2]
        lines.append([
            f"`{item.coding}` T={record['steps']}" + (f", `{others}`" if others else ""),
            f"{record['latency_steps']:,}",
            str(record["samples"]),
            f"{100 * record['ann_accuracy']:.2f} %",
            _points(record),
            f"{100 * record['agreement']:.2f} %",
            f"{record['logits_error']:.3f}",
            f"{record['spikes_per_sample'] / record['neurons']:.2f}",
        ])  # fmt: skip
    if not lines:
        return "Not recorded yet: `python scripts/measure/imagenet.py --record` does that."
    heads = [
        "coding", "latency", "images", "ANN", "loss", "agreement", "error of logits",
        "spikes / neuron",
    ]  # fmt: skip
    return table(heads, lines, left=1)


def operations() -> str:
    """Return the synaptic operations of the codings over the ANN's MACs."""
    lines = [
        [title, *(_operations(_first(name, text)) for text in tables.OPERATIONS.values())]
        for name, title in tables.OPERATIONS_NETWORKS.items()
    ]
    return table(["synaptic operations / MACs of the ANN", *tables.OPERATIONS], lines, left=1)


def speed() -> str:
    """Return ratios of speed, and where and when they were measured."""
    known = records.load(records.SPEED)
    measured = {item["network"] for item in known}
    columns = {
        title: names
        for title, names in tables.SPEED_NETWORKS.items()
        if not measured.isdisjoint(names)
    }
    lines = []
    for what, against, key in tables.SPEED:
        found = {
            item["network"]: item["ratio"]
            for item in known
            if (item["what"], item["against"]) == key
        }
        cells = [
            next((f"{found[name]:.2g}" for name in names if name in found), "")
            for names in columns.values()
        ]
        lines.append([what, against, *cells])
    rows = table(["what", "against what", *columns], lines, left=2)
    return f"{rows}\n\n{paragraph(_origins(known))}"


def costs() -> str:
    """Return what networks cost on the engines: time, building and memory."""
    found = {
        (item["network"], item["what"]): item
        for item in records.load(records.SPEED)
        if item["against"] == "ANN"
    }
    lines = [
        [
            title,
            tables.COSTS[what],
            f"{item['ratio']:.2g}",
            f"{item['build_seconds']:.1f} s" if "build_seconds" in item else "",
            f"{item['memory_mib']:,.0f} MiB" if "memory_mib" in item else "",
        ]
        for network, title in tables.COSTS_NETWORKS.items()
        for what in tables.COSTS
        if (item := found.get((network, what))) is not None
    ]
    return table(["network", "engine", "speed / ANN's", "first build", "memory"], lines, left=2)


def _origins(known: list[Record]) -> str:
    """Say which script measured when, at which version and on what."""
    origins = dict.fromkeys(
        (item["script"], item["date"], item["version"], item["machine"]) for item in known
    )
    parts = [
        f"{tables.SPEED_SCRIPTS[script]} by `scripts/{script}` at version {version} ({date}, "
        f"{machine})"
        for script, date, version, machine in origins
    ]
    return f"Measured at the versions named, and not since: {'; '.join(parts)}."


def _versions() -> str:
    """Name the versions that the networks of the tables were measured at.

    Early records do not say theirs.
    """
    versions = {
        item.get("version", "0.1.0")
        for item in records.load(records.ACCURACY)
        if item["network"] in NETWORKS
    }
    return f"version{'s' if len(versions) > 1 else ''} {', '.join(sorted(versions))}"


def _found(network: str, item: Row, samples: int) -> list[Record]:
    """Return the records of a row on a network, one for each seed."""
    key = {"network": network, "coding": item.coding, "options": item.options, "samples": samples}
    found = [
        record
        for record in records.load(records.ACCURACY)
        if all(record[name] == value for name, value in key.items())
    ]
    if not found:
        raise SystemExit(f"docs/results.json lacks {network}, {item}, {samples:,} images")
    return found


def _first(network: str, text: str, samples: int = _ALL) -> Record:
    """Return the record of a row that has everything counted."""
    return next(item for item in _found(network, row(text), samples) if "ann_accuracy" in item)


def _loss(network: str, text: str) -> str:
    """Return the loss in points, in italics if it comes from one draw of calibration images."""
    found = _found(network, row(text), _ALL)
    ann = _first(network, text)["ann_accuracy"]
    loss = 100 * (ann - np.mean([item["snn_accuracy"] for item in found]))
    cell = f"{round(loss, 2) + 0.0:.2f}"  # + 0.0: no -0.00
    return cell if len(found) > 1 else f"*{cell}*"


def _points(record: Record) -> str:
    return f"{100 * (record['ann_accuracy'] - record['snn_accuracy']):.2f}"


def _operations(record: Record) -> str:
    return f"{record['sops_per_sample'] / record['macs_per_sample']:.2f}"


def _count(value: float) -> str:
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value / 1e3:.3g} k"


_WRITERS = accuracy, sentence, imagenet, tensorgenn, operations, speed, costs
BLOCKS: Blocks = {item.__name__: item for item in _WRITERS}


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(written(page.read_text(), BLOCKS))
