"""Faults that come from outside, on real processes: signals, full disks, closed streams."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Example
from helpers.models import mlp
from helpers.onnx_models import model, node

import onnx2genn

pytestmark = pytest.mark.skipif(os.name != "posix", reason="its signals and limits are POSIX")

WAIT = 60
PYTHON = sys.executable
COMMAND = [PYTHON, "-m", "onnx2genn"]
EMBEDDED = ["--backend", "onnxruntime"]
WRITER = """
import sys
from pathlib import Path
from onnx2genn import files
path, count = Path(sys.argv[1]), 0
while True:
    files.write(path, b"%d" % (count % 10) * 2_000_000)
    if not count:
        print("ready", flush=True)
    count += 1
"""
DIES_BEFORE_MOVING = """
import os, sys
from pathlib import Path
from onnx2genn.cli import main
Path.replace = lambda *_: os.kill(os.getpid(), int(sys.argv[1]))
main(sys.argv[2:])
"""
LIMITED = """
import resource, sys
from onnx2genn.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
sys.exit(main(sys.argv[1:]))
"""
INTERRUPTED = """
import os, signal, sys
class Finder:
    def find_spec(name, *_):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
from onnx2genn.cli import main
sys.exit(main(sys.argv[2:]))
"""
BROKEN = """
import sys
from onnx2genn.cli import commands, main
def fail(*_):
    raise ZeroDivisionError("first line\\nsecond line")
commands.terminal.summary = fail
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    onnx.save(mlp(), path)
    return path


def run(
    *words: object, env: Mapping[str, str] | None = None, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run a process to its end."""
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.run(
        [str(word) for word in words],
        env={**os.environ, **(env or {})},
        timeout=WAIT,
        check=False,
        **given,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line of the error stream, which has nothing else of an error."""
    assert "Traceback" not in done.stderr
    *others, last = done.stderr.splitlines()
    assert all("warning" in line for line in others), done.stderr
    return last


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_leaves_whole_files(tmp_path: Path, number: int) -> None:
    path = tmp_path / "file"
    for delay in (0.0, 0.011, 0.023):
        with subprocess.Popen([PYTHON, "-c", WRITER, path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(delay)
            process.send_signal(number)
        assert process.returncode == -number
        content = path.read_bytes()
        assert len(content) == 2_000_000
        assert len(set(content)) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_death_right_before_a_result_is_in_place(
    small: Path, tmp_path: Path, number: int
) -> None:
    saved = tmp_path / "saved.onnx"
    saved.write_bytes(b"old")
    done = run(PYTHON, "-c", DIES_BEFORE_MOVING, int(number), small, *EMBEDDED, "--save", saved)
    assert done.returncode == -number
    assert saved.read_bytes() == b"old"


@pytest.mark.parametrize("option", ["--save", "--json"])
def test_a_full_disk_leaves_the_old_file(small: Path, tmp_path: Path, option: str) -> None:
    result = tmp_path / "result"
    result.write_bytes(b"old")
    done = run(PYTHON, "-c", LIMITED, small, *EMBEDDED, option, result)
    assert done.returncode == 1
    assert "result cannot be written: File too large" in one_line(done)
    assert result.read_bytes() == b"old"
    assert {item.name for item in tmp_path.iterdir()} == {"result", "small.onnx"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux has a closed folder")
def test_a_closed_folder(small: Path) -> None:
    """Nobody can make a file there, not even root."""
    done = run(*COMMAND, small, *EMBEDDED, "--json", "/proc/onnx2genn.json")
    assert done.returncode == 1
    assert "/proc/onnx2genn.json cannot be written" in one_line(done)


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", "<&- >/dev/null"])
def test_closed_streams(small: Path, tmp_path: Path, streams: str) -> None:
    result = tmp_path / "r.json"
    words = " ".join(map(str, [*COMMAND, small, *EMBEDDED, "--json", result]))
    done = run("sh", "-c", f"exec {words} {streams}")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert json.loads(result.read_text())["samples"] == 16


@pytest.mark.parametrize("module", ["onnx2genn.cli.options", "numpy", "onnx", "rich.table"])
def test_an_interrupt_within_the_imports(small: Path, module: str) -> None:
    done = run(PYTHON, "-c", INTERRUPTED, module, small, *EMBEDDED)
    assert (done.returncode, done.stderr) == (130, "onnx2genn: interrupted\n")


def test_an_interrupt_of_the_work(digits: Example, tmp_path: Path) -> None:
    saved = tmp_path / "saved.onnx"
    words = [*COMMAND, digits.model, "--evaluate", digits.test, *EMBEDDED, "--save", saved]
    process = subprocess.Popen(
        [str(word) for word in [*words, "--steps", 2048, "--coding", "rate", "--batch-size", 1]],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + WAIT
    while not saved.exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert error == "onnx2genn: interrupted\n"
    assert onnx2genn.load(saved).neurons


def test_an_error_of_our_own_is_one_line_and_a_file(small: Path, tmp_path: Path) -> None:
    result, saved, folder = tmp_path / "r.json", tmp_path / "s.onnx", tmp_path / "temporary"
    folder.mkdir()
    words = [small, *EMBEDDED, "--json", result, "--save", saved]
    done = run(PYTHON, "-c", BROKEN, *words, env={"TMPDIR": str(folder)})
    assert done.returncode == 70
    (report,) = folder.glob("onnx2genn-*")
    line = one_line(done)
    assert "internal error: ZeroDivisionError: first line second line; " in line
    assert str(report) in line
    text = report.read_text()
    assert "Traceback (most recent call last)" in text
    assert "in fail" in text
    assert str(small) in text
    assert json.loads(result.read_text())["samples"] == 16
    assert onnx2genn.load(saved).neurons


HOSTILE = ("/red]", "[bold]", "[/]", ":smile:", "\x1b[31mred\x07", "naïve Ω", '"; rm -rf /', "\\n{")


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "utf-8"},
    ],
)
def test_names_are_printed_as_they_are(tmp_path: Path, env: Mapping[str, str]) -> None:
    path = tmp_path / "[red] [bold] :smile: Ω.onnx"
    save_hostile(path)
    done = run(*COMMAND, path, "--trace", *EMBEDDED, env=env, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    for name in HOSTILE:
        shown = name.replace("\x1b", "\\x1b").replace("\x07", "\\x07")
        if "utf-8" not in env.values():
            shown = shown.encode("ascii", "backslashreplace").decode()
        assert shown in done.stdout
    assert "[red] [bold] :smile: " in done.stdout


def save_hostile(path: Path) -> None:
    """Save a network whose nodes have the hostile names."""
    nodes, last = [], "x"
    for index, name in enumerate(HOSTILE):
        nodes += [node("MatMul", f"{last} w", f"m{index}"), node("Relu", f"m{index}", f"r{index}")]
        nodes[-1].name = name
        last = f"r{index}"
    nodes.append(node("MatMul", f"{last} w", "y"))
    weights = {"w": np.eye(3, dtype=np.float32)}
    onnx.save(model(nodes, {"x": ["N", 3]}, weights), path)


def test_names_in_refusals_do_nothing_to_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    proto = model([node("NonZero", "x", "y")], {"x": ["N", 3]})
    proto.graph.node[0].name = "[/red]\x1b[31m"
    onnx.save(proto, path)
    done = run(*COMMAND, path, "--check")
    assert done.returncode == 1
    assert "[/red]" in done.stderr
    assert "\x1b" not in done.stderr


def stub(folder: Path, names: tuple[str, ...]) -> None:
    """Put compilers into a folder that only complain."""
    for name in names:
        (folder / name).write_text("#!/bin/sh\necho no license >&2\nexit 3\n")
        (folder / name).chmod(0o755)


@pytest.mark.genn
@pytest.mark.parametrize("compilers", [(), ("g++", "c++", "gcc", "cc", "clang++")])
def test_a_compiler_that_is_missing_or_fails(
    small: Path, tmp_path: Path, compilers: tuple[str, ...]
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    stub(folder, compilers)
    for name in ("make", "sh", "uname") if compilers else ():
        (folder / name).symlink_to(str(shutil.which(name)))
    env = {"PATH": str(folder), "ONNX2GENN_CACHE": str(tmp_path / "cache")}
    done = run(*COMMAND, small, "--backend", "single_threaded_cpu", env=env)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "onnx2genn: error: " in done.stderr
    assert ("no license" if compilers else "C++ compiler is missing") in done.stderr


@pytest.mark.genn
def test_processes_that_build_the_same_network_at_once(small: Path, tmp_path: Path) -> None:
    words = [*COMMAND, small, "--backend", "single_threaded_cpu", "--json"]
    env = {**os.environ, "ONNX2GENN_CACHE": str(tmp_path / "cache")}
    places = [tmp_path / f"{index}.json" for index in range(3)]
    started = [
        subprocess.Popen([*words, place], env=env, stdout=subprocess.PIPE) for place in places
    ]
    for process in started:
        process.communicate(timeout=WAIT)
    assert [process.returncode for process in started] == [0, 0, 0]
    found = [json.loads(place.read_text()) for place in places]
    assert found[0]["spikes_per_sample"] > 0
    assert len({item["spikes_per_sample"] for item in found}) == 1
    assert len([*(tmp_path / "cache").iterdir()]) == 1
