"""Write the table of docs/recurrent.md from docs/results.json.

python scripts/pages/recurrent.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import DOCS
from common.markdown import Blocks, table, written
from common.networks import RECURRENT
from common.records import ACCURACY, load

PAGE = DOCS / "recurrent.md"
_HEADS = (
    "network", "steps", "test samples", "ANN", "SNN", "loss, points", "same class",
    "spikes a sample", "latency, steps", "conversion",
)  # fmt: skip


def rows() -> str:
    """Return the table."""
    records = [item for item in load(ACCURACY) if item["network"] in RECURRENT]
    lines = [
        [
            RECURRENT[item["network"]].title,
            str(item["steps"]),
            f"{item['samples']:,}",
            f"{100 * item['ann_accuracy']:.2f} %",
            f"{100 * item['snn_accuracy']:.2f} %",
            f"{100 * (item['ann_accuracy'] - item['snn_accuracy']):.2f}",
            f"{100 * item['agreement']:.2f} %",
            f"{item['spikes_per_sample']:,.0f}",
            f"{item['latency_steps']:,}",
            f"{item['conversion_seconds']:g} s",
        ]
        for name in RECURRENT
        for item in sorted(records, key=lambda item: item["steps"])
        if item["network"] == name
    ]
    return table(_HEADS, lines, left=1)


BLOCKS: Blocks = {"rows": rows}


def main() -> None:
    """Write the page."""
    PAGE.write_text(written(PAGE.read_text(), BLOCKS))


if __name__ == "__main__":
    main()
