"""The report in a headless browser: nothing to complain of, and nothing wider than the screen."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers import architectures

import onnx2genn
from onnx2genn.report import comparison, html

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
FRAME = """<iframe id="page" src="{name}.html" style="width: {width}px; height: 900px; border: 0">
</iframe><script>onload = () => {{
  const page = document.getElementById("page").contentDocument;
  document.title = page.documentElement.scrollWidth + " " + page.querySelectorAll("svg").length;
}}</script>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("report")
    x = np.random.default_rng(0).random((8, 3, 8, 8), dtype=np.float32)
    records = []
    for steps in (1, 8):
        network = onnx2genn.convert(architectures.inception(), x, steps=steps)
        found = network.evaluate(x, np.zeros(8, int), backend="onnxruntime")
        node = network.populations[0].node.name
        (recording,) = network.simulate(x[:1], membrane=[node], backend="onnxruntime")
        found.report(place / f"page{steps}.html", x=x, recording=recording, neurons={node: [0, 1]})
        records.append(found.to_dict())
    text = html.compared(comparison.runs_of(records), "Runs")
    (place / "compared.html").write_text(text, "utf-8")
    return place


@pytest.mark.parametrize("width", [360, 800, 1280])
@pytest.mark.parametrize(
    # Chart, three keys and graph, the activations of each population, the raster and two
    # potentials; two charts, two keys.
    ("name", "figures"),
    [("page1", 5 + 9 + 3), ("page8", 5 + 9 + 3), ("compared", 4)],
)
def test_the_page_fits_the_screen(folder: Path, name: str, figures: int, width: int) -> None:
    (folder / "frame.html").write_text(FRAME.format(width=width, name=name))
    assert BROWSER is not None
    ran = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            f"--user-data-dir={folder / 'profile'}", "--allow-file-access-from-files",
            "--virtual-time-budget=2000", "--dump-dom", (folder / "frame.html").as_uri(),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    title = re.search(r"<title>(\d+) (\d+)</title>", ran.stdout)
    assert title
    assert int(title[1]) <= width
    assert int(title[2]) == figures
    assert "CONSOLE" not in ran.stderr
