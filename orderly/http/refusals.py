"""Records refused requests in the security log: exceeded rate limits, and denied access."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.types import Scope

from domain.errors import DomainError, Forbidden, TooManyAttempts, Unavailable
from orderly.http.authentication import actor_of
from orderly.http.problems import Problem
from services import security_events

_DENIED = {"forbidden", "cross_site_request"}


async def log_refusal(
    scope: Scope,
    error: Problem | DomainError,
    run: Callable[[Callable[[], None]], Awaitable[Any]],
) -> None:
    """Append an entry to the security log if the error is an exceeded rate limit or denied access.

    `run` runs a function that may wait for the database. If the database is unavailable, the entry
    is lost; the request log still has the request.
    """
    append = _entry(scope, error)
    if append is None:
        return
    try:
        await run(append)
    except Unavailable:
        return


def _entry(scope: Scope, error: Problem | DomainError) -> Callable[[], None] | None:
    actor = actor_of(scope)
    if isinstance(error, TooManyAttempts):
        return partial(
            security_events.append_once,
            security_events.RATE_LIMITED,
            actor=actor,
            subject=error.bucket,
            detail=error.policy,
            seconds=max(error.window_seconds, security_events.ONCE_IN_SECONDS),
        )
    is_denied = isinstance(error, Forbidden) or (
        isinstance(error, Problem) and error.code in _DENIED
    )
    if not is_denied or actor.user_id is None:
        return None
    operation = scope["orderly"]["operation_id"]
    return partial(
        security_events.append_once,
        security_events.ACCESS_DENIED,
        actor=actor,
        subject=f"{actor.user_id} {operation}",
        detail=operation,
    )
