"""What GeNN needs, and what is said where something is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnx2genn.backends.genn import installation as probe
from onnx2genn.backends.registry import BACKENDS, choose, predict
from onnx2genn.errors import BackendError


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Look anew in each test."""
    forget()
    yield
    forget()


def forget() -> None:
    probe._pygenn.cache_clear()
    probe._asked_once.cache_clear()


def pretend(
    monkeypatch: pytest.MonkeyPatch, *, offered: list[str], programs: dict[str, str]
) -> None:
    """Stand in for the programs that the probe asks."""

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        if command[0] == sys.executable:
            return subprocess.CompletedProcess(command, 0, json.dumps(["5.4.0", offered]), "")
        if command[0] not in programs:
            raise FileNotFoundError(command[0])
        return subprocess.CompletedProcess(command, 0, programs[command[0]], "")

    monkeypatch.setattr(probe.subprocess, "run", run)
    monkeypatch.setattr(probe, "_module", lambda name: name)
    monkeypatch.setattr(probe.shutil, "which", lambda name: name if "nvcc" not in name else None)


def test_the_fastest_that_is_complete_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = {"nvidia-smi": "NVIDIA H100, 580"}
    pretend(monkeypatch, offered=["cuda", "single_threaded_cpu"], programs=gpu)
    monkeypatch.setenv("CPATH", str(tmp_path))
    (tmp_path / "curand_kernel.h").touch()
    monkeypatch.delenv("CUDA_PATH", raising=False)
    assert [item.name for item in BACKENDS["cuda"].missing()] == ["CUDA toolkit"]
    assert choose().name == "single_threaded_cpu"
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    monkeypatch.setattr(probe.shutil, "which", lambda name: name)
    assert BACKENDS["cuda"].missing() == []
    assert choose().name == "cuda"


def test_a_backend_that_pygenn_lacks_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, offered=["single_threaded_cpu"], programs={})
    with pytest.raises(BackendError, match=r"(?s)'hip'.*backend hip is missing.*https://genn-team"):
        predict(None, None, backend="hip")  # type: ignore[arg-type]


def test_without_pygenn_the_embedded_engine_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_module", lambda name: "")
    choice = choose()
    assert choice.name == "onnxruntime"
    assert "PyGeNN" in choice.reason
    with pytest.raises(BackendError, match=r"PyGeNN is missing\. It is not installed\."):
        predict(None, None, backend="single_threaded_cpu")  # type: ignore[arg-type]


def test_a_pygenn_that_ends_the_process_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_CHILD", "import os; os._exit(1)")
    monkeypatch.setattr(probe, "_module", lambda name: name)
    (found,) = (item for item in probe.needs("cuda") if item.name == "PyGeNN")
    assert not found.found
    assert "exit status 1" in found.remedy


def test_an_old_pygenn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_CHILD", "print('[\"5.1.0\", []]')")
    monkeypatch.setattr(probe, "_module", lambda name: name)
    assert "5.1.0 is too old" in BACKENDS["single_threaded_cpu"].missing()[0].remedy


def test_compiled_code_depends_on_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for name in ("NVIDIA H100, 9.0", "NVIDIA A100, 8.0"):
        forget()
        pretend(monkeypatch, offered=["cuda"], programs={"nvidia-smi": name})
        found.add(probe.toolchain("cuda"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    found.add(probe.toolchain("cuda"))
    assert len(found) == 3


def test_compiled_code_depends_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that share a cache must not load each other's instructions."""
    monkeypatch.setattr(probe, "_CPU_INFO", tmp_path / "cpuinfo")
    found = set()
    for flags, clock in (("sse2 avx2", 1), ("sse2 avx2", 2), ("sse2", 1)):
        core = f"model\t\t: 17\ncpu MHz\t\t: {clock}\nflags\t\t: {flags}\n"
        probe._CPU_INFO.write_text(f"{core}\n{core}")
        found.add(probe.toolchain("single_threaded_cpu"))
    assert len(found) == 2
    probe._CPU_INFO.unlink()
    for name in ("Apple M1", "Apple M4"):
        forget()
        pretend(monkeypatch, offered=[], programs={"sysctl": name})
        found.add(probe.toolchain("single_threaded_cpu"))
    assert len(found) == 4


@pytest.mark.parametrize(
    ("answer", "wanted"), [("__AVX2__", "a++ -O2 -march=native"), ("", "a++ -O2")]
)
def test_what_runs_on_the_cpu_uses_all_its_instructions(
    answer: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the compiler knows how."""
    pretend(monkeypatch, offered=["single_threaded_cpu"], programs={"a++": answer})
    monkeypatch.setenv("CXX", "a++ -O2")
    assert probe.compiler("single_threaded_cpu") == wanted
    assert probe.compiler("cuda") == "a++ -O2"


def test_a_cache_that_cannot_be_written_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, offered=["single_threaded_cpu"], programs={})
    assert choose().name == "single_threaded_cpu"
    (tmp_path / "file").touch()
    monkeypatch.setenv("ONNX2GENN_CACHE", str(tmp_path / "file" / "folder"))
    assert choose().name == "onnxruntime"
    with pytest.raises(BackendError, match=r"cache folder is missing.*ONNX2GENN_CACHE"):
        predict(None, None, backend="single_threaded_cpu")  # type: ignore[arg-type]
