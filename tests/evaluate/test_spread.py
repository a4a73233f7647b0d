"""Evaluations on several processes, by any executor, interrupted and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Example

import onnx2genn
from onnx2genn.cli import main
from onnx2genn.errors import BackendError, CodingError, DataError
from onnx2genn.evaluate.evaluation import evaluate
from onnx2genn.spiking_network import SpikingNetwork

EMBEDDED = "onnxruntime"


@pytest.fixture(scope="module")
def network(digits: Example) -> SpikingNetwork:
    return onnx2genn.convert(digits.model, digits.x_train[:200], steps=5)


def found(network: SpikingNetwork, data: Example, times: int = 1, **options: Any) -> dict[str, Any]:
    """Evaluate, on all test images so many times; leave out how long it took."""
    x, y = np.tile(data.x_test, (times, 1, 1, 1)), np.tile(data.y_test, times)
    options = {"batch_size": 32, "backend": EMBEDDED, **options}
    result = network.evaluate(x, y, **options).to_dict()
    assert result["samples"] == len(x)
    return {name: value for name, value in result.items() if name != "samples_per_second"}


@pytest.fixture(scope="module")
def alone(network: SpikingNetwork, digits: Example) -> dict[str, Any]:
    return found(network, digits)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_find_the_same_to_the_last_digit(
    network: SpikingNetwork, digits: Example, alone: dict[str, Any], workers: int
) -> None:
    assert found(network, digits, workers=workers) == alone
    assert not active_children()


class Losing(ThreadPoolExecutor):
    """Loses some results on their way, and says so by errors of its own."""

    def __init__(self, lost: tuple[int, ...]) -> None:
        super().__init__(2)
        self.lost, self.submitted = lost, 0

    def submit(self, *task: Any, **options: Any) -> Future[Any]:
        self.submitted += 1
        if self.submitted not in self.lost:
            return super().submit(*task, **options)
        future: Future[Any] = Future()
        future.set_exception(ValueError("too many values to unpack"))
        return future


def test_a_result_that_is_lost_on_its_way_is_asked_for_again(
    network: SpikingNetwork, digits: Example, alone: dict[str, Any]
) -> None:
    with Losing((1, 3, 8)) as executor:
        assert found(network, digits, executor=executor) == alone
    with Losing(tuple(range(100))) as executor, pytest.raises(ValueError, match="unpack"):
        found(network, digits, executor=executor)


def test_no_more_workers_start_than_there_is_work(network: SpikingNetwork, digits: Example) -> None:
    x = digits.x_test[:40]
    found = network.evaluate(x, backend=EMBEDDED, batch_size=32, workers=10**11)
    assert found.samples == len(x)


def test_any_executor_does(network: SpikingNetwork, digits: Example, alone: dict[str, Any]) -> None:
    with ThreadPoolExecutor(1) as executor:
        assert found(network, digits, executor=executor) == alone


def test_an_executor_and_workers_are_refused(network: SpikingNetwork, digits: Example) -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(CodingError, match="give one"):
        network.evaluate(digits.x_test, executor=executor, workers=2)


def test_a_worker_that_is_killed_costs_no_samples(network: SpikingNetwork, digits: Example) -> None:
    times = 20
    seen = []

    def kill(done: int, total: int) -> None:
        if not seen:
            active_children()[0].kill()
        seen.append(done)

    alone = found(network, digits, times)
    assert found(network, digits, times, workers=2, progress=kill) == alone
    assert len(seen) > 100  # more than wait at once


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, list[int]]]:
    """Run a Dask scheduler and four workers, each a process of its own."""
    distributed = pytest.importorskip("distributed", reason="DASK IS MISSING: it is not tested")
    with distributed.LocalCluster(
        n_workers=4, threads_per_worker=1, processes=True, dashboard_address=None
    ) as local:
        yield local.scheduler_address, [item.pid for item in local.workers.values()]


@pytest.fixture
def dask(cluster: tuple[str, list[int]]) -> Iterator[Executor]:
    from distributed import Client

    with Client(cluster[0]) as client:
        yield client.get_executor()


def test_dask_finds_the_same_with_a_worker_killed(
    network: SpikingNetwork, digits: Example, cluster: tuple[str, list[int]], dask: Executor
) -> None:
    """Ten thousand samples, on four workers and then on three, or with a new one."""
    times = 10_000 // len(digits.y_test) + 1
    alone = found(network, digits, times, batch_size=256)
    seen = []

    def kill(done: int, total: int) -> None:
        if not seen:
            os.kill(cluster[1][0], signal.SIGKILL)
        seen.append(done)

    options: dict[str, Any] = {"batch_size": 256, "executor": dask, "progress": kill}
    assert found(network, digits, times, **options) == alone
    assert len(seen) > 1


def test_dask_chooses_the_same_thresholds(digits: Example, dask: Executor) -> None:
    alone = onnx2genn.convert(digits.model, digits.x_train)
    found = onnx2genn.convert(digits.model, digits.x_train, executor=dask)
    assert len(digits.x_train) > 500
    for name, threshold in alone.thresholds.items():
        assert np.array_equal(found.thresholds[name], threshold)


def test_the_command_line_takes_a_scheduler(
    cluster: tuple[str, list[int]], digits: Example, tmp_path: Path
) -> None:
    words = [digits.model, "--evaluate", digits.test, "--scheduler", cluster[0], "--limit", "40"]
    command = [sys.executable, "-m", "onnx2genn", *map(str, words), "--backend", EMBEDDED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "40" in done.stdout
    command[command.index(cluster[0])] = "tcp://127.0.0.1:9"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No Dask scheduler answers" in done.stderr


def test_what_was_interrupted_goes_on(
    network: SpikingNetwork, digits: Example, alone: dict[str, Any], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("onnx2genn.evaluate.resume._EVERY", 0.0)
    place, seen = tmp_path / "found.npz", []

    def interrupt(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found(network, digits, resume=place, progress=interrupt)
    assert found(network, digits, resume=place, progress=interrupt) == alone
    assert seen[1] < seen[2] == seen[1] + 32
    count = len(seen)
    assert found(network, digits, resume=place, progress=interrupt) == alone
    assert len(seen) == count


def test_a_file_of_another_evaluation_is_refused(
    network: SpikingNetwork, digits: Example, tmp_path: Path
) -> None:
    place = tmp_path / "found.npz"
    x, y = digits.x_test[:40], digits.y_test[:40]
    evaluate(network, x, y, backend=EMBEDDED, resume=place)
    before = place.read_bytes()
    for other in ((x, y[::-1]), (x + 1, y), (x, None)):
        with pytest.raises(DataError, match="of another evaluation"):
            evaluate(network, *other, backend=EMBEDDED, resume=place)
    again = onnx2genn.convert(digits.model, digits.x_train[:200], steps=6)
    with pytest.raises(DataError, match="of another evaluation"):
        evaluate(again, x, y, backend=EMBEDDED, resume=place)
    assert place.read_bytes() == before
    place.write_bytes(before[:100])
    with pytest.raises(DataError, match="damaged"):
        evaluate(network, x, y, backend=EMBEDDED, resume=place)


def test_a_file_to_resume_from_is_no_input(
    digits: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(digits.model), "--evaluate", str(digits.test), "--resume", str(digits.model)])
    assert "--resume would replace MODEL.onnx" in capsys.readouterr().err


def test_what_workers_cannot_do_is_said(network: SpikingNetwork, digits: Example) -> None:
    class Broken(ThreadPoolExecutor):
        def submit(self, *call: Any, **options: Any) -> Any:
            from concurrent.futures import BrokenExecutor

            raise BrokenExecutor

    with pytest.raises(BackendError, match="ended unexpectedly"):
        found(network, digits, executor=Broken(1))


@pytest.mark.genn
def test_genn_on_two_processes(network: SpikingNetwork, digits: Example) -> None:
    options = {"backend": "single_threaded_cpu", "batch_size": 64}
    assert found(network, digits, workers=2, **options) == found(network, digits, **options)


def test_an_interrupt_ends_workers_in_silence() -> None:
    code = (
        "from helpers import grid_networks as g\n"
        "if __name__ == '__main__':\n"
        "    network = g.convert('signal', 'few-spike', steps=5)\n"
        "    x = g.samples(network, 20_000)\n"
        "    say = lambda done, _: print(done, flush=True)\n"
        "    try:\n"
        "        network.evaluate(x, backend='onnxruntime', batch_size=4,\n"
        "                         workers=2, progress=say)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', flush=True)\n"
    )
    folders = [str(Path(__file__).parents[1]), *sys.path]
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "4\n"
    os.killpg(child.pid, signal.SIGINT)
    out, error = child.communicate(timeout=60)
    assert (child.returncode, error) == (0, "")
    assert out.endswith("interrupted\n")
