"""What GeNN finds on this machine, asked without being able to end this process."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from onnx2genn.backends.base import Finding
from onnx2genn.backends.genn.cache import cache_root, is_writable

CPU = "single_threaded_cpu"
INSTALLATION = "https://genn-team.github.io/genn/documentation/5/installation.html"

# A CUDA runtime without a driver makes GeNN end the process that asks it.
_CHILD = """
import json, pygenn
from pygenn import genn_model
print(json.dumps([pygenn.__version__, sorted(genn_model.backend_modules)]))
"""
_TIMEOUT = 60
_NATIVE = "-march=native"
# Fails where a compiler does not know a flag.
_MACROS = ("-dM", "-E", "-x", "c++", os.devnull)
_OLDEST = (5, 4)
_NVIDIA = ("nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader")
_AMD = ("rocm-smi", "--showproductname", "--csv")
_CPU_INFO = Path("/proc/cpuinfo")
# On x86, and on ARM.
_CPU_KIND = {
    *("vendor_id", "cpu family", "model", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),
}
_MAC_CPU = ("sysctl", "-n", "machdep.cpu.brand_string")
# Which GPU is the first one.
_CHOOSING = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
)


def needs(backend: str) -> tuple[Finding, ...]:
    """Look for everything that one of GeNN's backends needs, and return what was found."""
    offered = Finding(
        name=f"PyGeNN backend {backend}",
        found="yes" if backend in _pygenn()[1] else "",
        remedy=f"Build PyGeNN where the toolkit of {backend} is installed: {INSTALLATION}",
    )
    toolkit = {"cuda": _cuda, "hip": _hip}.get(backend, tuple)
    return (*_common(), offered, *toolkit())


def _common() -> tuple[Finding, ...]:
    """Look for what all of GeNN's backends need."""
    version, _, error = _pygenn()
    install = f"Install PyGeNN {'.'.join(map(str, _OLDEST))} or newer: {INSTALLATION}"
    return (
        Finding(name="PyGeNN", found=version, remedy=f"{error} {install}".strip()),
        *(
            Finding(
                name=name,
                found=metadata.version(name) if _module(name) else "",
                remedy=f"Install it: pip install {name}",
            )
            for name in ("scipy", "psutil")
        ),
        Finding(
            name="C++ compiler",
            found=_program(*_compilers()),
            remedy="Install g++ (Linux: package g++; macOS: xcode-select --install; Windows: "
            "Visual Studio with C++), or set CXX.",
        ),
        Finding(
            name="make",
            found=_program("nmake", "msbuild") if os.name == "nt" else _program("make"),
            remedy="Install make (Linux: package make; macOS: xcode-select --install).",
        ),
        Finding(
            name="cache folder",
            found=str(cache_root()) if is_writable(cache_root()) else "",
            remedy=f"{cache_root()} cannot be written; set ONNX2GENN_CACHE to a folder that can.",
        ),
    )


def toolchain(backend: str) -> tuple[str, ...]:
    """Return what compiled code depends on beside the model: compilers, the CPU and the GPUs.

    Nothing of it needs a compiler that is there: what is compiled already runs without.
    """
    texts = [sys.platform, platform.machine(), os.environ.get("CXX", "")]
    if backend == CPU:
        texts.append(_instructions())
    if backend == "cuda":
        texts += [_asked_once(*_NVIDIA), _asked_once(_in_toolkit("CUDA_PATH", "nvcc"), "--version")]
    if backend == "hip":
        texts += [_asked_once(*_AMD), _asked_once(_in_toolkit("HIP_PATH", "hipcc"), "--version")]
    return (*texts, *(f"{name} {os.environ.get(name)}" for name in _CHOOSING))


def compiler(backend: str) -> str:
    """Return the C++ compiler of a backend, with flags; empty for the one that make knows.

    What runs on the CPU may use all instructions that this one has.
    """
    own = os.environ.get("CXX", "")
    if backend != CPU or os.name == "nt":
        return own
    native = f"{own or shutil.which('g++') or 'c++'} {_NATIVE}"
    return native if _asked_once(*native.split(), *_MACROS) else own


def _instructions() -> str:
    """Name the kind of this CPU: machines that share a cache may have others."""
    try:
        first = _CPU_INFO.read_text().split("\n\n")[0].splitlines()
    except OSError:
        return _asked_once(*_MAC_CPU) or platform.processor()
    return "\n".join(line for line in first if line.split("\t")[0].rstrip() in _CPU_KIND)


@cache
def _pygenn() -> tuple[str, list[str], str]:
    """Return the version and the backends of PyGeNN, or why it cannot be imported."""
    if not _module("pygenn"):
        return "", [], "It is not installed."
    try:
        child = subprocess.run(
            [sys.executable, "-c", _CHILD],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", [], f"It cannot be imported: {error}."
    if child.returncode:
        reason = child.stderr.strip().splitlines()[-1:] or [f"exit status {child.returncode}"]
        return "", [], f"It cannot be imported: {reason[0]}."
    version, offered = json.loads(child.stdout.splitlines()[-1])
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        return "", [], f"Version {version} is too old."
    return version, offered, ""


def _cuda() -> list[Finding]:
    return [
        Finding(
            name="NVIDIA GPU and driver",
            found=_asked_once(*_NVIDIA),
            remedy="Install the driver of the GPU; nvidia-smi has to list it.",
        ),
        Finding(
            name="CUDA toolkit",
            found=_program(_in_toolkit("CUDA_PATH", "nvcc")),
            remedy="Install it, and set CUDA_PATH to its folder, which has bin/nvcc.",
        ),
        Finding(
            name="cuRAND header",
            found=_header("curand_kernel.h", os.environ.get("CUDA_PATH", "")),
            remedy="Install the development files of cuRAND, or add the folder of curand_kernel.h "
            "to CPATH.",
        ),
    ]


def _hip() -> list[Finding]:
    return [
        Finding(
            name="ROCm (HIP)",
            found=_program(_in_toolkit("HIP_PATH", "hipcc")),
            remedy="Install it, and set HIP_PATH to its folder, which has bin/hipcc.",
        ),
        Finding(
            name="AMD GPU and driver",
            found=_asked_once(*_AMD),
            remedy="Install the driver of the GPU; rocm-smi has to list it.",
        ),
    ]


def _compilers() -> tuple[str, ...]:
    own = os.environ.get("CXX", "").split()[:1]
    usual = "cl" if os.name == "nt" else "clang++" if platform.system() == "Darwin" else "g++"
    return (*own, usual)


def _in_toolkit(variable: str, program: str) -> str:
    """Return where a program of a toolkit is; a name that no program has if that is not known."""
    return str(Path(os.environ.get(variable) or f"{variable} is not set", "bin", program))


def _program(*names: str) -> str:
    return next((path for name in names if (path := shutil.which(name))), "")


def _module(name: str) -> str:
    found = importlib.util.find_spec(name)
    return (found.origin or name) if found else ""


def _header(name: str, home: str) -> str:
    paths = [os.environ.get(key, "").split(os.pathsep) for key in ("CPATH", "CPLUS_INCLUDE_PATH")]
    folders = [Path(item) for group in paths for item in group if item]
    folders += [Path(home, "include"), Path("/usr/include"), Path("/usr/local/include")]
    return next((str(item / name) for item in folders if (item / name).is_file()), "")


def _ask(*command: str) -> str:
    """Return what a program answers, or nothing if it is not there or fails."""
    try:
        child = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if child.returncode else child.stdout.strip()


_asked_once = cache(_ask)
