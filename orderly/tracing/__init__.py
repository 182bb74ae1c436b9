"""Traces with OpenTelemetry, an optional dependency: imported only if tracing is enabled."""
