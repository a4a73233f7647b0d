"""Files of measurements: a JSON list with one record on each line."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from common import DOCS, ROOT

ACCURACY = DOCS / "results.json"
IMAGENET = DOCS / "imagenet.json"
SPEED = DOCS / "benchmarks.json"

Record = dict[str, Any]


def load(path: Path) -> list[Record]:
    """Read all records of a file; none if there is no file yet."""
    return json.loads(path.read_text()) if path.exists() else []


def store(path: Path, record: Record, key: Iterable[str]) -> None:
    """Add a record in place of an older one whose fields ``key`` are the same."""
    kept = [item for item in load(path) if any(item[name] != record[name] for name in key)]
    path.write_text("[\n" + ",\n".join(json.dumps(item) for item in [*kept, record]) + "\n]\n")


def version() -> str:
    """Name the commit that is measured, and whether the package differs from it."""
    name = subprocess.check_output(["git", "describe", "--always"], cwd=ROOT, text=True).strip()
    differs = subprocess.call(["git", "diff", "--quiet", "HEAD", "--", "onnx2genn"], cwd=ROOT)
    return f"{name}-changed" if differs else name


def store_ratio(
    script: str,
    network: str,
    what: str,
    against: str,
    speeds: list[float],
    costs: dict[str, float | None] | None = None,
) -> None:
    """Keep how many times faster one thing was than another, in the same run.

    Args:
        script: What measured it, below ``scripts/``.
        network: Name of the network.
        what: What was measured, as the README's table names it.
        against: What it is compared with.
        speeds: Images per second of both; the ratio is the first over the second.
        costs: What else it cost, by name.
    """
    record = {
        "script": script,
        "network": network,
        "what": what,
        "against": against,
        "ratio": round(speeds[0] / speeds[1], 3),
        "images_per_second": [round(speed, 1) for speed in speeds],
        **{name: round(value, 2) for name, value in (costs or {}).items() if value is not None},
        "date": datetime.date.today().isoformat(),
        "version": version(),
        "machine": f"{os.cpu_count()} CPU cores ({platform.machine()})",
    }
    store(SPEED, record, ("network", "what", "against"))
