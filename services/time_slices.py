"""Lets handlers iterate over many rows without blocking the event loop."""

from __future__ import annotations

from database.greenlets import in_time_slices

__all__ = ["in_time_slices"]
