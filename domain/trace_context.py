"""The trace of the current request, for requests to other systems (W3C Trace Context)."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

current: ContextVar[Mapping[str, str]] = ContextVar("trace_context", default=MappingProxyType({}))


def headers() -> Mapping[str, str]:
    """Return the HTTP headers that continue the trace (`traceparent`); empty if tracing is off."""
    return current.get()
