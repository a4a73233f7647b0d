"""Run the code of a page of the documentation, from top to bottom, in the current folder.

    python run_page.py PAGE.md

Python blocks share their names; blocks of sh run in between, without what installs something. What
goes wrong is told with its line of the page.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INSTALLS = re.compile(r"\bpip3? install\b|-m (venv|pytest)\b|\.ci/")


def blocks(text: str) -> Iterator[tuple[str, str, int]]:
    """Return the language, the code and the lines before it of every block that runs."""
    for found in _BLOCK.finditer(text):
        yield found[1], found[2], text[: found.start(2)].count("\n")


def without_installing(commands: str) -> str:
    """Leave out the commands that install something, also before ``&&``."""
    joined = commands.replace("\\\n", " ")
    lines = [
        " && ".join(part for part in line.split(" && ") if not _INSTALLS.search(part))
        for line in joined.splitlines()
    ]
    return "\n".join(lines).replace(".venv/bin/", "")


def main(page: str) -> None:
    """Run a page; its Python finds the arrays that pages may use without making them."""
    known: dict[str, Any] = {"__name__": "__main__", **_arrays()}
    for language, code, line in blocks(Path(page).read_text("utf-8")):
        sys.stderr.write(f"{page}:{line}\n")
        if language == "python":
            exec(compile("\n" * line + code, page, "exec"), known)
        else:
            subprocess.run(["bash", "-euo", "pipefail", "-c", without_installing(code)], check=True)


def _arrays() -> dict[str, Any]:
    import numpy as np

    found = {}
    for name in ("train", "test"):
        with np.load(f"{name}.npz") as file:
            found |= {f"x_{name}": file["x"], f"y_{name}": file["y"].astype(int)}
    return found


if __name__ == "__main__":
    main(sys.argv[1])
