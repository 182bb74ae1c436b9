"""Reads the failures that Schemathesis has found from its file of events."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from orderly.verification.contract import Node
from orderly.verification.generated import recorders

_MAX_BODY = 2000


class GeneratedFailure(NamedTuple):
    """A failed check of a generated request."""

    name: str
    message: str
    curl: str


def failures_in(events: Path) -> list[GeneratedFailure]:
    """Return the failures, one for each check and operation."""
    found: dict[tuple[str, str], GeneratedFailure] = {}
    if events.exists():
        for key, failure in _failures(events):
            found.setdefault(key, failure)
    return list(found.values())


def _failures(events: Path) -> Iterator[tuple[tuple[str, str], GeneratedFailure]]:
    for recorder in recorders(events):
        for case_id, checks in recorder.get("checks", {}).items():
            case = recorder.get("cases", {}).get(case_id, {}).get("value", {})
            operation = f"{case.get('method')} {case.get('path')}"
            for check in checks:
                info = check.get("failure_info")
                if check.get("status") != "failure" or not info:
                    continue
                failure = info.get("failure", {})
                title = str(failure.get("title") or check.get("name"))
                message = f"{title}. {failure.get('message', '')}"
                sent = recorder.get("interactions", {}).get(failure.get("case_id") or case_id, {})
                curl = _curl(sent.get("request") or {})
                yield (operation, title), GeneratedFailure(f"{operation}: {title}", message, curl)


def _curl(request: Node) -> str:
    """Return a command that repeats a request. Its credentials are filtered out."""
    command = ["curl", "-i", "-X", str(request.get("method"))]
    for name, values in (request.get("headers") or {}).items():
        for value in values if isinstance(values, list) else [values]:
            command += ["-H", f"{name}: {value}"]
    body = request.get("body")
    if isinstance(body, dict):
        body = base64.b64decode(body.get("$base64", "")).decode(errors="replace")
    if body:
        command += ["--data-binary", str(body)[:_MAX_BODY]]
    return shlex.join([*command, str(request.get("uri") or request.get("url"))])
