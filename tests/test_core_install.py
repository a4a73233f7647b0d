"""What a plain installation has is enough for the main job."""

from __future__ import annotations

import subprocess
import sys

from conftest import Example

EXTRAS = {"scipy", "psutil", "pygenn", "jinja2", "PIL", "torch", "tensorflow", "sklearn"}
PROGRAM = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {extras!r}:
            return None
        return self.finder.find_spec(name, path, target)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
from onnx2genn.cli import main
sys.exit(main({arguments!r}))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line where no extra is installed."""
    program = PROGRAM.format(extras=EXTRAS, arguments=list(arguments))
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_the_main_job_needs_no_extra(digits: Example, tmp_path) -> None:
    saved = str(tmp_path / "snn.onnx")
    options = ("--calibrate", str(digits.train), "--evaluate", str(digits.test), "--limit", "50")
    done = run(str(digits.model), *options, "--save", saved)
    assert (done.returncode, done.stderr) == (0, "")
    assert "SNN accuracy" in done.stdout and "onnxruntime" in done.stdout
    again = run(saved, "--evaluate", str(digits.test), "--limit", "50")
    assert (again.returncode, again.stderr) == (0, "")


def test_what_needs_an_extra_says_so(digits: Example, tmp_path) -> None:
    for option, value, name in (
        ("--report", "page.html", "onnx2genn[report]"),
        ("--export-genn", "folder", "scipy"),
        ("--backend", "single_threaded_cpu", "GeNN"),
    ):
        given = value if option == "--backend" else str(tmp_path / value)
        done = run(str(digits.model), "--calibrate", str(digits.train), option, given)
        assert done.returncode in (1, 2), done.stderr
        assert name in done.stderr and "internal error" not in done.stderr


def test_the_doctor_and_the_check(digits: Example) -> None:
    assert run("--doctor").returncode == 0
    assert run(str(digits.model), "--check").returncode == 0
