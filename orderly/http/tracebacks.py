"""Tells of an error as Python does, without what a database or a validator quotes of people's data.

PostgreSQL's messages repeat the row that broke a constraint, and Peewee's the statement; what was
wrong is told as well by the error's type, SQLSTATE and constraint.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator

_QUOTING = ("psycopg2", "peewee", "jsonschema_rs", "jsonschema")


def described(error: BaseException) -> str:
    """Return the error and all that led to it, the first cause first."""
    parts = [
        "".join(traceback.format_tb(one.__traceback__)) + _summary(one) for one in _causes(error)
    ]
    return "\n".join(reversed(parts))


def in_brief(error: BaseException) -> str:
    """Return what first led to the error, and the line of code that it came from, in one line."""
    *_, first = _causes(error)
    summary = _summary(first).partition("\n")[0]
    places = traceback.extract_tb(first.__traceback__)
    return f"{summary} ({places[-1].filename}:{places[-1].lineno})" if places else summary


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Return the error and what led to it, the first cause last."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        if error.__cause__ is not None or error.__suppress_context__:
            error = error.__cause__
        else:
            error = error.__context__


def _summary(error: BaseException) -> str:
    kind = type(error)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    if kind.__module__.partition(".")[0] not in _QUOTING:
        return f"{name}: {error}"
    original = getattr(error, "orig", None) or error
    code = getattr(original, "pgcode", None)
    if kind.__name__ == "OperationalError" and code is None:
        # Not the server's word but libpq's, on why there is no connection: it quotes nobody.
        return f"{name}: {str(error).strip()}"
    facts = {
        "SQLSTATE": code,
        "constraint": getattr(getattr(original, "diag", None), "constraint_name", None),
    }
    told = ", ".join(f"{fact} {value}" for fact, value in facts.items() if value)
    return f"{name}: {told}" if told else name
