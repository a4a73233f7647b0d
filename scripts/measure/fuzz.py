"""Try damaged files and odd command lines by the thousand: all are done right or refused.

python scripts/measure/fuzz.py --count 20000 [--kind model] [--first 0] [--workers 1]

Every crash, hang, traceback and wrong answer is printed with its kind and seed; one of them is
repeated by ``--kind model --first SEED --count 1``. Workers have limits on the time that they
compute, which a busy machine does not shorten, and on memory.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.trials import TRIALS, attempt

_MEMORY = 8 * 2**30
_SECONDS = 20
_WAIT = 600  # for one that does not even compute
_SHARES = {"model": 10, "bytes": 4, "network": 3, "data": 3, "command": 5}


def _work(pipe: Connection) -> None:
    """Try what comes in and send back what came of it, until there is nothing more."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    warnings.simplefilter("ignore")
    while (task := pipe.recv()) is not None:
        signal.setitimer(signal.ITIMER_PROF, _SECONDS)  # nobody handles its signal, which kills
        try:
            pipe.send((attempt(*task), ""))
        except BaseException as error:  # noqa: BLE001  (that is what is looked for)
            pipe.send((_place(error), traceback.format_exc()))
        signal.setitimer(signal.ITIMER_PROF, 0)


def _place(error: BaseException) -> str:
    """Name an exception by the last place in the package that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        item for item in frames if "onnx2genn/" in item.filename and "tests" not in item.filename
    ]
    last = (own or frames)[-1]
    place = f"{Path(last.filename).name}:{last.name}:{last.lineno}"
    return f"{type(error).__name__} in {place}: {str(error)[:200]}"


class _Worker:
    """A process that can be lost."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.pipe, other = multiprocessing.Pipe()
        # No daemon: what it tries may start processes. It ends when its parent closes the pipe.
        self._process = multiprocessing.Process(target=_work, args=(other,))
        self._process.start()
        other.close()

    def give(self, kind: str, seed: int) -> None:
        self.task = kind, seed
        self.since = time.monotonic()
        self.pipe.send(self.task)

    def result(self) -> tuple[str, str] | None:
        """Return what came of the task; None while it runs."""
        try:
            if self.pipe.poll():
                return self.pipe.recv()
            if time.monotonic() - self.since < _WAIT:
                return None
            self._process.kill()
        except (EOFError, ConnectionError):
            pass
        self._process.join()
        status = self._process.exitcode
        self._start()
        if status in (-signal.SIGPROF, -signal.SIGKILL):
            return f"no answer in {_SECONDS} s of computing, or in {_WAIT} s at all", ""
        return f"the process died with status {status}", ""


def tasks(kinds: list[str], first: int, count: int) -> list[tuple[str, int]]:
    """Mix kinds by their shares."""
    pattern = [kind for kind in kinds for _ in range(_SHARES[kind])]
    return [(pattern[seed % len(pattern)], seed) for seed in range(first, first + count)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kind", choices=TRIALS, action="append")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    faulthandler.enable()
    multiprocessing.set_start_method("spawn")
    left = tasks(options.kind or list(TRIALS), options.first, options.count)[::-1]
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    seen: collections.Counter[str] = collections.Counter()
    workers = [_Worker() for _ in range(min(options.workers, len(left)))]
    for worker in workers:
        worker.give(*left.pop())
    while workers:
        multiprocessing.connection.wait([item.pipe for item in workers], timeout=1)
        for worker in list(workers):
            result = worker.result()
            if result is None:
                continue
            label, trace = result
            good = label in ("right", "refused")
            counts[worker.task[0], label if good else "FOUND"] += 1
            if not good:
                seen[label] += 1
                if seen[label] <= 3:
                    print(f"{worker.task[0]} {worker.task[1]}: {label}\n{trace}", flush=True)
            if left:
                worker.give(*left.pop())
            else:
                worker.pipe.send(None)
                workers.remove(worker)
    for (kind, label), count in sorted(counts.items()):
        print(f"{count:7,} {kind} {label}")
    for label, count in seen.most_common():
        print(f"{count:7,} {label}")
    return bool(seen)


if __name__ == "__main__":
    sys.exit(main())
