"""Traces with OpenTelemetry, an optional dependency: imported only if traces are on."""
