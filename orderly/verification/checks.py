"""What a check is: a function that raises if the server does not do what the contract says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orderly.verification.client import ExampleClient

# OperationId, name and function of each check of a group.
Found = Iterator[tuple[str, str, Callable[[ExampleClient], None]]]


@dataclass(frozen=True)
class Check:
    """One check: what it is about, and the function that raises if it fails.

    `run` raises `Violation` if the server does not behave as the contract says, and `NotReachable`
    if this deployment cannot show whether it does.
    """

    group: str
    name: str
    operation_id: str
    run: Callable[[ExampleClient], None]

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"
