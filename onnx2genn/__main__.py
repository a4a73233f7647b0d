"""``python -m onnx2genn`` is the command ``onnx2genn``."""

import sys

from onnx2genn.cli import main

sys.exit(main())
