"""Write into ``docs/extending.md`` the files of the package that it shows.

python scripts/pages/extending.py
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import DOCS, ROOT
from common.markdown import Blocks, code, written

PAGE = DOCS / "extending.md"
SHOWN = {
    "coding": "onnx2genn/coding/two_phase.py",
    "backend": "onnx2genn/backends/embedded/__init__.py",
}


def source(path: str) -> str:
    """Return a file of the package as it stands."""
    return code("python", (ROOT / path).read_text().splitlines())


BLOCKS: Blocks = {name: partial(source, path) for name, path in SHOWN.items()}


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(), BLOCKS))
