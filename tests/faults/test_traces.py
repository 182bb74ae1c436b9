"""Traces of a real server that are exported to a collector over OTLP/HTTP."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.processes import run_orderly, run_server, wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
PRODUCT = "/api/v1/products/01a20800-676e-7598-a9cd-edf85c4534c8"


class Collector:
    """An HTTP server that receives and decodes spans, as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # http.server calls it
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert ("/v1/traces", "application/x-protobuf") == (
                    self.path,
                    self.headers["Content-Type"],
                )
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_values: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def spans(self) -> dict[str, str]:
        """Return the name and the trace id of each span."""
        return {
            span.name: span.trace_id.hex()
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }

    def resource(self) -> dict[str, str]:
        """Return the attributes of the first resource that are texts."""
        attributes = self.requests[0].resource_spans[0].resource.attributes
        return {one.key: one.value.string_value for one in attributes}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_spans_arrive_at_a_collector_and_the_last_ones_when_the_server_stops(
    tmp_path: Path, collector: Collector, workers: str
) -> None:
    with run_server(
        tmp_path / "data",
        ORDERLY_TRACES="true",
        ORDERLY_WORKERS=workers,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_SERVICE_NAME="shop",
        OTEL_BSP_SCHEDULE_DELAY="600000",  # only at the end
    ) as server:
        httpx2.get(server.url + PRODUCT, headers={"traceparent": TRACEPARENT})
        wait_until(lambda: server.has_logged("request", trace_id=TRACE))
        assert [] == collector.requests
        assert 0 == server.stop()

    expected = {"get_product", "handlers.products.get_product", "product.FIND"}
    assert dict.fromkeys(expected, TRACE) == {
        name: trace for name, trace in collector.spans().items() if trace == TRACE
    }
    assert "shop" == collector.resource()["service.name"]


def test_a_server_whose_collector_is_down_answers_and_stops(tmp_path: Path) -> None:
    with run_server(
        tmp_path / "data",
        ORDERLY_TRACES="true",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_BSP_SCHEDULE_DELAY="100",
    ) as server:
        assert 404 == server.get(PRODUCT).status_code
        wait_until(lambda: server.has_logged("request"))
        began = time.monotonic()
        assert 0 == server.stop()

    assert time.monotonic() - began < 20
    assert "Traceback" not in server.stderr


def test_an_exporter_that_is_not_supported_is_an_error(tmp_path: Path) -> None:
    done = run_orderly(
        "serve", directory=tmp_path, ORDERLY_TRACES="true", OTEL_TRACES_EXPORTER="zipkin"
    )

    error = "orderly: OTEL_TRACES_EXPORTER: Must be one of: otlp, console, none."
    assert (2, error) == (done.returncode, done.stderr.strip())
