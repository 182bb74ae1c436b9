"""Re-exports `in_time_slices` for handlers: iteration that does not block the event loop."""

from __future__ import annotations

from database.greenlets import in_time_slices

__all__ = ["in_time_slices"]
