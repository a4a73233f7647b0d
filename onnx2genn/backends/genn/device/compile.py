"""Compiles a model in a process of its own, since GeNN may end the process that it runs in."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

from onnx2genn.backends.genn.device.assembly import Target, assemble
from onnx2genn.backends.genn.installation import CPU, INSTALLATION, compiler
from onnx2genn.backends.genn.plan import Plan
from onnx2genn.errors import BackendError

_CHILD = "from onnx2genn.backends.genn.device.compile import main; main()"
_TAIL = 12


def compile_apart(plan: Plan, target: Target, texts: tuple[str, ...], folder: Path) -> None:
    """Generate and compile the code of a plan.

    Args:
        plan: What to simulate.
        target: What to compile it for.
        texts: What this process would compile.
        folder: Where the code goes to.

    Raises:
        BackendError: GeNN cannot; the message has the end of what it, make and the compilers said.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if chosen := compiler(target.backend):
        environment["CXX"] = chosen
    child = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=pickle.dumps((plan.plain(), target, texts, str(folder))),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        check=False,
    )
    if child.returncode:
        lines = [line for line in child.stdout.decode(errors="replace").splitlines() if line]
        raise failure(target.backend, f"it ended with status {child.returncode}", lines)


def failure(backend: str, reason: str, lines: list[str]) -> BackendError:
    """Return the error that says why there is no model, and what to do.

    Args:
        backend: GeNN backend.
        reason: What happened, in a few words.
        lines: What was printed before.
    """
    return BackendError(
        f"GeNN cannot build the network for {backend}: {reason}\n"
        + "\n".join(f"  {line}" for line in lines[-_TAIL:])
        + "\nRun 'onnx2genn --doctor' to see what is missing; how to install GeNN and its "
        f"compilers: {INSTALLATION}"
    )


def main() -> None:
    """Compile what comes by the standard input, in the process that may end."""
    plan, target, texts, folder = pickle.load(sys.stdin.buffer)  # noqa: S301 - from its parent
    assembly = assemble(plan, target)
    if assembly.texts != texts:
        raise RuntimeError("This process has another version of onnx2genn or PyGeNN.")
    try:
        assembly.model.build(folder)
        if target.backend != CPU:
            # Whether it fits into the memory of the GPU.
            assembly.model.load()
    except Exception as error:  # PyGeNN raises what its C++ exceptions happen to become
        raise SystemExit(f"{type(error).__name__}: {error}") from error
