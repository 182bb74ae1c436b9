"""Formats errors for the log, without the personal data that some error messages quote.

PostgreSQL's messages quote the row that violates a constraint, Peewee's the statement, and those of
JSON Schema validators the invalid value. For errors of these packages, the log contains only the
type, the SQLSTATE and the constraint.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator

_QUOTING_PACKAGES = ("psycopg2", "peewee", "jsonschema_rs", "jsonschema")


def format_error(error: BaseException) -> str:
    """Return the error and its causes with their tracebacks, the root cause first."""
    parts = [
        "".join(traceback.format_tb(cause.__traceback__)) + _message(cause)
        for cause in _chain(error)
    ]
    return "\n".join(reversed(parts))


def summarize(error: BaseException) -> str:
    """Return one line: the root cause of the error and the source line that raised it."""
    *_, root_cause = _chain(error)
    message = _message(root_cause).partition("\n")[0]
    frames = traceback.extract_tb(root_cause.__traceback__)
    return f"{message} ({frames[-1].filename}:{frames[-1].lineno})" if frames else message


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes, the root cause last."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        if error.__cause__ is not None or error.__suppress_context__:
            error = error.__cause__
        else:
            error = error.__context__


def _message(error: BaseException) -> str:
    error_type = type(error)
    name = f"{error_type.__module__}.{error_type.__qualname__}".removeprefix("builtins.")
    if error_type.__module__.partition(".")[0] not in _QUOTING_PACKAGES:
        return f"{name}: {error}"
    original = getattr(error, "orig", None) or error  # Peewee wraps the error of psycopg2
    sqlstate = getattr(original, "pgcode", None)
    if error_type.__name__ == "OperationalError" and sqlstate is None:
        # libpq's own message about a failed connection. It quotes no data.
        return f"{name}: {str(error).strip()}"
    attributes = {
        "SQLSTATE": sqlstate,
        "constraint": getattr(getattr(original, "diag", None), "constraint_name", None),
    }
    details = ", ".join(f"{label} {value}" for label, value in attributes.items() if value)
    return f"{name}: {details}" if details else name
