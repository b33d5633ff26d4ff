"""Build the package with scikit-build-core, by a compiler from PyPI where the machine has none."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from functools import wraps
from pathlib import Path

from scikit_build_core import build as core
from scikit_build_core.build import build_sdist, get_requires_for_build_sdist

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

SAYS_ZIG = "sklearn-sgdopt: no C++ compiler was found, so ziglang from PyPI compiles it."
NO_COMPILER = """sklearn-sgdopt is compiled while it is installed, and no C++ compiler was found. Install one:
  Debian, Ubuntu: apt install g++    Fedora: dnf install gcc-c++    Alpine: apk add g++ musl-dev
  macOS: xcode-select --install      Windows: Visual Studio Build Tools, "Desktop development with C++"
  anywhere: pip install ziglang"""
NO_TOOLS = "sklearn-sgdopt is compiled while it is installed, by cmake and ninja: pip install cmake ninja"


def output(*command: object) -> bytes:
    """Return what a command prints; nothing where it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, check=False)
    return b"" if done.returncode else done.stdout


def has_compiler() -> bool:
    """Whether the machine can compile C and C++."""
    if os.environ.get("CC") and os.environ.get("CXX"):
        return True
    if sys.platform == "win32":
        # Visual Studio's compiler is on no path; CMake finds it by this program as well.
        where = Path(os.environ.get("PROGRAMFILES(X86)", ""), "Microsoft Visual Studio/Installer/vswhere.exe")
        parts = [f"Microsoft.VisualStudio.Component.VC.Tools.{cpu}" for cpu in ("x86.x64", "ARM64")]
        return where.exists() and bool(output(where, "-products", "*", "-requiresAny", "-requires", *parts))
    if sys.platform == "darwin" and not output("xcode-select", "-p"):
        return False  # cc and c++ are there, but only say what is missing
    languages = ("CC", "cc gcc clang icx"), ("CXX", "c++ g++ clang++ icpx")
    return all(os.environ.get(name) or any(map(shutil.which, names.split())) for name, names in languages)


def compiled(hook):
    """Wrap a hook: let CMake use zig where the machine has no compiler, or say what to install."""

    @wraps(hook)
    def run(*args, **kwargs):
        zig = None
        if not has_compiler():
            zig = importlib.util.find_spec("ziglang")
            if zig is None:
                raise SystemExit(NO_COMPILER)
        # Visual Studio has its own programs in place of Ninja.
        tools = ["cmake", "ninja"] if zig or sys.platform != "win32" else ["cmake"]
        if not all(shutil.which(tool) or importlib.util.find_spec(tool) for tool in tools):
            raise SystemExit(NO_TOOLS)
        if zig is None:
            return hook(*args, **kwargs)
        print(SAYS_ZIG, flush=True)
        program = Path(str(zig.origin)).with_name("zig.exe" if sys.platform == "win32" else "zig")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache:
            # On Windows only Ninja takes any compiler. CMake links programs to get to know a compiler:
            # without these flags zig would build the run times of UBSan and C++ for that, in a minute.
            os.environ |= {
                "CC": f"{program} cc",
                "CXX": f"{program} c++",
                "CFLAGS": f"-O1 {os.environ.get('CFLAGS', '')}",
                "CXXFLAGS": f"-O1 -nostdlib++ {os.environ.get('CXXFLAGS', '')}",
                "CMAKE_GENERATOR": "Ninja",
                "ZIG_GLOBAL_CACHE_DIR": cache,
                "ZIG_LOCAL_CACHE_DIR": cache,
            }
            return hook(*args, **kwargs)

    return run


def requiring(hook):
    """Wrap a hook: add zig to what a build needs where the machine has no compiler."""

    @wraps(hook)
    def run(*args, **kwargs):
        if has_compiler():
            return hook(*args, **kwargs)
        print(SAYS_ZIG, flush=True)
        os.environ["CMAKE_GENERATOR"] = "Ninja"  # scikit-build-core asks for ninja then, on Windows too
        return [*hook(*args, **kwargs), "ziglang>=0.13"]

    return run


get_requires_for_build_wheel = requiring(core.get_requires_for_build_wheel)
get_requires_for_build_editable = requiring(core.get_requires_for_build_editable)
prepare_metadata_for_build_wheel = compiled(core.prepare_metadata_for_build_wheel)
prepare_metadata_for_build_editable = compiled(core.prepare_metadata_for_build_editable)
build_wheel = compiled(core.build_wheel)
build_editable = compiled(core.build_editable)
