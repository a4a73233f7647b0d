"""What the scripts share: where files lie, data sets, writing and testing ONNX files, records.

Scripts run as plain files, ``python scripts/train/mnist.py``; each puts ``scripts`` on the path
before it imports ``common``.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "onnx2genn" / "examples"
MODELS = ROOT / "tests" / "models"
# Data sets and networks too large to commit, beside the repository; the tests look there too.
SHARED = Path(os.environ.get("ONNX2GENN_SHARED", ROOT.parent / "shared"))
