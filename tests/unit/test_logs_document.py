"""docs/operations/logs.md describes each field of the log line of a request."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.types import Message, Scope

from orderly.http.request_log import _Exchange
from orderly.http.server_state import TRACE_ID

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations" / "logs.md"


async def _receive() -> Message:
    raise AssertionError


async def _send(_message: Message) -> None:
    raise AssertionError


def test_the_table_lists_all_fields_in_their_order() -> None:
    section = DOCUMENT.read_text().partition("## The line of a request")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)

    scope: Scope = {"method": "GET", "raw_path": b"/", "headers": [], TRACE_ID: "0" * 32}
    event = _Exchange(scope, _receive, _send).event("info", 1, 0.1, is_slow=False)

    # Only a part of the lines has the last field.
    assert [*event, "sample_rate"] == documented
