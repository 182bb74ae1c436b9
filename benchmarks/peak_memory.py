"""Measures how much memory a function needs, including that of libraries in other languages."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

_PROCESS = Path("/proc/self")


def peak_mebibytes(function: Callable[[], object]) -> float:
    """Return by how many MiB the resident memory of this process grew at most (Linux only)."""
    gc.collect()
    # proc_pid_clear_refs(5): 5 resets the peak resident set size.
    (_PROCESS / "clear_refs").write_text("5")
    before = _resident_mebibytes("VmRSS")
    function()
    return _resident_mebibytes("VmHWM") - before


def _resident_mebibytes(field: str) -> float:
    lines = (_PROCESS / "status").read_text().splitlines()
    (kibibytes,) = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(kibibytes) / 1024
