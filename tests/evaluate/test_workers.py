"""Processes of this machine, lost at the worst of times."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import BrokenExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from helpers.killed_worker import LARGE, large

from onnx2genn.evaluate.workers import Workers
from onnx2genn.ir.parallel import cores


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_worker_that_is_killed_while_it_hands_over_is_noticed(tmp_path: Path) -> None:
    with closing(Workers(2)) as workers:
        lost = workers.submit(large, tmp_path / "mark")
        with pytest.raises(BrokenExecutor):
            lost.result(timeout=60)
        workers.renew()
        assert len(workers.result(workers.submit(large, tmp_path / "mark"))) == LARGE


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with closing(Workers(1)) as workers:
        place = workers.share(b"content")
        assert workers.result(workers.submit(Path.read_bytes, place)) == b"content"
        (folder,) = tmp_path.iterdir()
        assert list(folder.iterdir()) == [place]
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "from onnx2genn.evaluate.workers import Workers\n"
        "if __name__ == '__main__':\n"
        "    workers = Workers(1)\n"
        "    print(workers.result(workers.submit(os.getpid)), flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        assert list(tmp_path.iterdir())
        parent.kill()
    worker.wait(timeout=60)
    assert not list(tmp_path.iterdir())


def test_workers_share_the_cores() -> None:
    with closing(Workers(2)) as workers:
        assert workers.result(workers.submit(cores)) == max(1, cores() // 2)
