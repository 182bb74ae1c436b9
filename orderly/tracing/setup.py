"""Starts and stops OpenTelemetry, which the standard variables OTEL_... configure.

Only imported if tracing is enabled: OpenTelemetry is an optional dependency.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from uuid import uuid4

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.semconv.attributes import service_attributes

from orderly import __version__
from orderly.settings import SettingsError

_EXPORTERS: Mapping[str, type[SpanExporter] | None] = {
    "otlp": OTLPSpanExporter,
    "console": ConsoleSpanExporter,
    "none": None,
}
_PROTOCOL = "http/protobuf"
_PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
# While a collector is down, OpenTelemetry itself would wait for 30 seconds.
_STOP_SECONDS = 3.0


def check_environment(environ: Mapping[str, str] = os.environ) -> None:
    """Validate the environment variables that select the exporter and its protocol.

    OpenTelemetry itself warns of other invalid variables, and uses its defaults.

    Raises:
        SettingsError: Orderly does not support this exporter or protocol.
    """
    errors = [
        (name, f"Must be {_PROTOCOL}: gRPC is not supported.")
        for name in _PROTOCOL_VARIABLES
        if environ.get(name, _PROTOCOL) != _PROTOCOL
    ]
    if environ.get("OTEL_TRACES_EXPORTER", "otlp") not in _EXPORTERS:
        errors.append(("OTEL_TRACES_EXPORTER", f"Must be one of: {', '.join(_EXPORTERS)}."))
    if errors:
        raise SettingsError(errors)


def start_provider() -> TracerProvider:
    """Return a provider of tracers that exports spans in batches, in a thread."""
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    exporter = _EXPORTERS[os.environ.get("OTEL_TRACES_EXPORTER", "otlp")]
    if exporter is not None:
        provider.add_span_processor(BatchSpanProcessor(exporter()))
    return provider


def stop_provider(provider: TracerProvider) -> None:
    """Export the remaining spans, and stop. Waits at most three seconds for a collector."""
    stopping = threading.Thread(target=provider.shutdown, daemon=True)
    stopping.start()
    stopping.join(_STOP_SECONDS)


def _resource() -> Resource:
    """Return the attributes of this process.

    OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
    """
    defaults: dict[str, str | int] = {
        service_attributes.SERVICE_NAME: "orderly",
        service_attributes.SERVICE_VERSION: __version__,
        service_attributes.SERVICE_INSTANCE_ID: str(uuid4()),
        "process.pid": os.getpid(),
    }
    return Resource.create(defaults).merge(OTELResourceDetector().detect())
