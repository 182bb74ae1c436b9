"""What Schemathesis cannot guess: the ETag that an object has now, and how to read a file."""

from __future__ import annotations

import csv
import io
import os
import random

import httpx2
import schemathesis

# The other half goes on to meet 412.
_SHARE_THAT_MATCHES = 0.5


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case, _kwargs: dict[str, object]
) -> None:
    """Give a generated condition the chance to hold, so that the change behind it is made."""
    headers = case.headers
    if headers is None or "If-Match" not in headers or random.random() > _SHARE_THAT_MATCHES:
        return
    path = case.formatted_path.removesuffix("/status").removesuffix("/cancel")
    token = os.environ["SCHEMATHESIS_ACCESS_TOKEN"]
    answer = httpx2.get(
        f"{case.operation.base_url}{path}", headers={"Authorization": f"Bearer {token}"}
    )
    if "etag" in answer.headers:
        headers["If-Match"] = answer.headers["etag"]


@schemathesis.deserializer("text/csv")
def read_csv(_context: object, response: schemathesis.Response) -> str:
    """Read a file by the rules that its schema describes in words."""
    text = response.content.decode()
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    if not text.endswith('"\r\n') or any(len(row) != len(header) for row in rows):
        raise ValueError("not the rows of a CSV file that is whole")
    return text
