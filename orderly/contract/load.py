"""Reads from the contract how an operation is treated under load."""

from __future__ import annotations

from connexion.operations import AbstractOperation

from orderly.http.slots import PRIORITIES, SAFE_METHODS, Load


def load_of(operation: AbstractOperation) -> Load:
    """Return the priority (`x-load-priority`) of an operation, and whether it writes.

    Operations with safe methods never wait for row locks.
    """
    # Connexion 3.3 has no public accessor for extensions (x-...).
    priority = operation._operation.get("x-load-priority", "normal")
    return Load(PRIORITIES[priority], operation.method.upper() not in SAFE_METHODS)
