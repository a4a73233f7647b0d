"""Run the code of a page of the documentation, from top to bottom, in the current folder.

    python run_page.py PAGE.md

Python blocks share their names; blocks of sh run in between, without what installs something, and
a block after ``<!-- needs here: PACKAGES -->`` only where these are installed. What goes wrong is
told with its line of the page.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_BLOCK = re.compile(
    r"^(?:<!-- needs here: (.*?) -->\n)?```(python|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
_INSTALLS = re.compile(r"\bpip3? install\b|-m (venv|pytest)\b|\.ci/")


def blocks(text: str) -> Iterator[tuple[str, str, int]]:
    """Return the language, the code and the lines before it of every block that runs."""
    for found in _BLOCK.finditer(text):
        line = text[: found.start(3)].count("\n")
        missing = [name for name in (found[1] or "").split() if not find_spec(name)]
        if missing:
            sys.stderr.write(f"{', '.join(missing).upper()} MISSING: LINE {line} IS NOT RUN\n")
        else:
            yield found[2], found[3], line


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
