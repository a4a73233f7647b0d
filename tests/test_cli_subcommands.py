"""Words in the place of the model, and a run as a file."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Example
from helpers.onnx_models import model, node, normal

from onnx2genn.cli import main
from onnx2genn.cli.config import with_configuration, written
from onnx2genn.cli.options import parser


@pytest.fixture
def here(digits: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the example, in which commands run."""
    for path in (digits.model, digits.train, digits.test):
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


FILES = ["--calibrate", "digits_train.npz", "--evaluate", "digits_test.npz"]
RUN = ["digits.onnx", *FILES, "--limit", "50"]


def text_of(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("words", [["check", "digits.onnx"], ["doctor"]])
def test_other_words_for_the_plain_form(
    here: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    found = capsys.readouterr().out
    assert main([*words[1:], f"--{words[0]}"]) == 0
    assert capsys.readouterr().out == found


def test_a_file_of_that_name_is_a_model(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("digits.onnx", "check")
    assert main(["check", "--check"]) == 0
    assert "check can be converted" in text_of(capsys)


def test_export_simulates_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "digits.onnx", "out", "--calibrate", "digits_train.npz"]) == 0
    assert (here / "out" / "network.py").is_file()
    assert "accuracy" not in text_of(capsys)
    with pytest.raises(SystemExit, match="2"):
        main(["export", "digits.onnx"])


def test_results_side_by_side(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for steps in (1, 8):
        words = ["--steps", str(steps), "--json", f"{steps}.json", "--backend", "onnxruntime"]
        assert main([*RUN, *words]) == 0
    capsys.readouterr()
    more = ["--report", "c.html", "--figures", "figures"]
    assert main(["compare", "8.json", "1.json", *more]) == 0
    text = text_of(capsys)
    first, second = (json.loads((here / f"{steps}.json").read_text()) for steps in (8, 1))
    ratio = second["spikes_per_sample"] / first["spikes_per_sample"]
    assert f"{ratio:.2f} times its spikes" in text
    assert "points less accuracy" in text
    assert "correlation" in text.lower()
    assert "onnx2genn compare 8.json 1.json" in (here / "c.html").read_text("utf-8")
    assert "Wrote 2 figures" in text
    folder = here / "figures"
    assert {item.name for item in folder.glob("*.svg")} == {"over-time.svg", "cost.svg"}
    assert json.loads((folder / "result.json").read_text())["runs"] == {"8": first, "1": second}
    with (folder / "steps.csv").open(newline="") as file:
        steps = [
            (row["run"], int(row["step"]), float(row["accuracy"])) for row in csv.DictReader(file)
        ]
    wanted = enumerate(first["accuracy_by_step"], start=1)
    assert steps[:8] == [("8", step, accuracy) for step, accuracy in wanted]
    assert steps[8:] == [("1", 1, second["accuracy_by_step"][0])]
    with (folder / "populations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == ["8"] * 3 + ["1"] * 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "no JSON"),
        ("[]", "no object"),
        ('{"coding": 1}', "'coding' is missing"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_result_is_refused(
    here: Path, content: str | None, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("a.json").write_text(content)
    assert main(["compare", "a.json", "a.json"]) == 1
    assert reason in capsys.readouterr().err


def test_a_result_is_not_replaced(here: Path) -> None:
    Path("a.json").write_text("{}")
    for words in (["a.json"], ["a.json", "b.json", "--report", "a.json"]):
        with pytest.raises(SystemExit, match="2"):
            main(["compare", *words])


def test_a_sweep_on_workers_finds_the_same(here: Path) -> None:
    words = ["sweep", *RUN, "--codings", "two-phase", "--steps", "4", "--json"]
    assert main([*words, "a.json"]) == main([*words, "b.json", "--workers", "2"]) == 0
    a, b = (json.loads((here / name).read_text())["runs"][0] for name in ("a.json", "b.json"))
    del a["samples_per_second"], b["samples_per_second"]
    assert a == b


def test_a_sweep_finds_the_front(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--codings", "few-spike,rate", "--steps", "1,4,8", "--json", "s.json"]
    assert main(["sweep", *RUN, *words, "--report", "s.html", "--figures", "figures"]) == 0
    assert len(list((here / "figures").glob("*.svg"))) == 2
    with (here / "figures" / "runs.csv").open(newline="") as file:
        assert [row["run"] for row in csv.DictReader(file)][:2] == [
            "few-spike, T=1",
            "few-spike, T=4",
        ]
    runs = json.loads((here / "s.json").read_text())["runs"]
    assert [(run["coding"], run["steps"]) for run in runs] == [
        (name, steps) for name in ("few-spike", "rate") for steps in (1, 4, 8)
    ]
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    marked = {(line[0], int(line[1])) for line in lines if line and line[-1] == "*"}
    points = {
        (run["coding"], run["steps"]): (run["snn_accuracy"], -run["sops_per_sample"])
        for run in runs
    }
    front = {
        key
        for key, (accuracy, cost) in points.items()
        if not any(
            other != (accuracy, cost) and other[0] >= accuracy and other[1] >= cost
            for other in points.values()
        )
    }
    assert marked == front
    assert 0 < len(front) < len(points)
    assert "few-spike, T=8" in (here / "s.html").read_text("utf-8")


def test_what_a_coding_cannot_do_is_left_out(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--codings", "few-spike,rate", "--steps", "20", "--limit", "10", "--json", "s.json"]
    main(["sweep", "digits.onnx", *FILES, *words])
    assert "few-spike has at most 16 steps" in capsys.readouterr().out
    (record,) = json.loads((here / "s.json").read_text())["runs"]
    assert (record["coding"], record["steps"]) == ("rate", 20)


CONFIG = """
model = "digits.onnx"
calibrate = "digits_train.npz"
evaluate = "digits_test.npz"
limit = 50
backend = "onnxruntime"
coding = "rate"
steps = 16
json = "found.json"
report = "found.html"

[option]
lookahead = 3
per_channel = false
"""


def test_a_run_as_a_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "run.toml").write_text(CONFIG)
    other = here / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)
    assert main(["--config", "../run.toml", "--steps", "12", "--option", "lookahead=1"]) == 0
    found = json.loads((here / "found.json").read_text())
    assert found["steps"] == 12
    for setting in ("lookahead=1", "per_channel=False"):
        assert setting in found["settings"]
    page = (here / "found.html").read_text("utf-8")
    assert "configuration" in page
    assert "steps = 12" in page


def test_a_file_to_resume_from_lies_beside_the_configuration(here: Path) -> None:
    folder = here / "elsewhere"
    folder.mkdir()
    (folder / "run.toml").write_text('resume = "found.npz"\n')
    given = parser().parse_args(["--config", str(folder / "run.toml")])
    with_configuration(parser(), given)
    assert given.resume == str(folder / "found.npz")


def test_a_configuration_is_written_as_it_is_read(here: Path) -> None:
    words = [*RUN, "--option", "lookahead=3", "--option", "reset=soft", "--percentile", "99.5"]
    words += ["--coding", "rate", "--steps", "auto", "--trace", "--diagnose", "--seed", "0"]
    words += ["--output", "a", "--output", "b"]
    words += ["--input-value", "a=[[1, 2.5]]", "--input-value", "b=zeros", "--input-value", "c=1,2"]
    given = parser().parse_args(words)
    del given.config
    Path("again.toml").write_text(written(given))
    again = parser().parse_args(["--config", "again.toml"])
    with_configuration(parser(), again)
    assert vars(again) == vars(given)


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        ("model = ", 1, "no TOML"),
        ("color = 3", 2, "no option 'color'"),
        ('model = "digits.onnx"\nsteps = []', 2, "no text, or no number"),
        ('model = "digits.onnx"\noption = 3', 2, "is a table"),
        ('model = "digits.onnx"\nsteps = "many"', 2, "steps"),
        ("model = 3", 2, "no text"),
        (None, 1, "cannot be read"),
    ],
)
def test_a_configuration_that_is_wrong(
    here: Path, content: str | None, status: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("run.toml").write_text(content)
    try:
        found = main(["--config", "run.toml"])
    except SystemExit as end:
        found = end.code
    assert found == status
    assert reason in capsys.readouterr().err


def test_quiet_prints_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*RUN, "--backend", "onnxruntime", "--json", "found.json"]
    assert main([*words, "--quiet"]) == 0
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""
    assert json.loads((here / "found.json").read_text())["samples"] == 50
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--quiet", "--verbose"])


def test_verbose_says_what_took_how_long(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*RUN, "--backend", "onnxruntime"]
    assert main([*words, "--verbose"]) == 0
    printed = capsys.readouterr().err
    for stage in ("reading the model", "pass 'canonicalise'", "choosing thresholds", "building"):
        assert stage in printed
    assert main(words) == 0
    assert capsys.readouterr().err == ""


def test_values_of_inputs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [node("Mul", "x gain", "a"), node("MatMul", "a w", "b"), node("Add", "b shift", "c")]
    nodes += [node("Relu", "c", "y")]
    inputs = {"x": ["N", 4], "gain": [], "shift": ["N", 3]}
    onnx.save(model(nodes, inputs, {"w": normal(4, 3)}), "gained.onnx")
    np.save("gain.npy", np.float64(2))
    x = normal(20, 4, seed=1)
    np.savez("samples.npz", x=x, y=np.arange(20) % 3)
    files = ["--calibrate", "samples.npz", "--evaluate", "samples.npz"]
    given = ["--input-value", "gain=gain.npy", "--input-value", "shift=0,-1,1"]
    assert main(["gained.onnx", "--check", *given]) == 1
    assert "axis of size 1" in capsys.readouterr().err
    given[-1] = "shift=[[0, -1, 1]]"
    assert main(["gained.onnx", "--check", *given]) == 0
    assert main(["gained.onnx", *files, *given, "--save", "saved.onnx", "--json", "a.json"]) == 0
    assert "'gain' has the value 2.0 for all samples" in text_of(capsys)
    assert main(["saved.onnx", "--evaluate", "samples.npz", "--json", "b.json"]) == 0
    a, b = (json.loads(Path(name).read_text()) for name in ("a.json", "b.json"))
    assert a["spikes_per_sample"] == b["spikes_per_sample"]
    assert main(["sweep", "gained.onnx", *files, *given, "--codings", "few-spike"]) == 0
    (here / "elsewhere").mkdir()
    table = '[input-value]\ngain = "../gain.npy"\nshift = [[0, -1, 1]]\n'
    (here / "elsewhere" / "run.toml").write_text('model = "../gained.onnx"\ncheck = true\n' + table)
    assert main(["--config", "elsewhere/run.toml"]) == 0
    for wrong in ("gain", "gain=", "gain=two", "=2"):
        with pytest.raises(SystemExit, match="2"):
            main(["gained.onnx", "--input-value", wrong])
    assert main(["gained.onnx", "--check", "--input-value", "gain=absent.npy"]) == 1
    assert "absent.npy cannot be read" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["saved.onnx", *given])


def test_relays_change_what_is_counted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*RUN, "--backend", "onnxruntime", "--json", "found.json"]
    found = {}
    for relays in ("none", "all"):
        assert main([*words, "--relays", relays, "--export-genn", relays]) == 0
        found[relays] = json.loads(Path("found.json").read_text())
    assert found["all"]["sops_per_sample"] != found["none"]["sops_per_sample"]
    assert found["all"]["spikes_per_sample"] == found["none"]["spikes_per_sample"]
    assert "_relay_" in (here / "all" / "network.py").read_text()
    assert "_relay_" not in (here / "none" / "network.py").read_text()
