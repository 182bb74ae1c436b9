"""A schema of the document, compiled once into a validator whose verdicts never echo a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jsonschema_rs import Draft4Validator, ValidationError

MOST_ERRORS = 20

# RFC 9562, section 4: hexadecimal digits in either case, and nothing around them.
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
# RFC 3339, section 5.6, less the leap second, which neither Python nor PostgreSQL can hold.
_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One place where an instance departs from its schema."""

    path: tuple[str | int, ...]
    code: str
    message: str


def parse_date_time(text: str) -> datetime:
    """Return an RFC 3339 date-time as an aware UTC datetime.

    Raises:
        ValueError: it is none, or its instant lies outside the years 1 to 9999.
    """
    if not _DATE_TIME.fullmatch(text):
        raise ValueError("not an RFC 3339 date-time")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("outside the years 1 to 9999") from error


def _is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def _is_date_time(text: str) -> bool:
    try:
        parse_date_time(text)
    except ValueError:
        return False
    return True


class CompiledSchema:
    """An OpenAPI 3.0 schema object, ready to judge parsed JSON."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._validator = Draft4Validator(
            _as_draft4(schema),
            validate_formats=True,
            formats={"uuid": _is_uuid, "date-time": _is_date_time},
            mask="value",
        )
        self.accepts = self._validator.is_valid

    def violations(self, instance: object) -> list[Violation]:
        """Return what is wrong with an instance, at most MOST_ERRORS of it."""
        found: list[Violation] = []
        for error in self._validator.iter_errors(instance):
            found.extend(_described(error))
            if len(found) >= MOST_ERRORS:
                break
        return found[:MOST_ERRORS]


def _as_draft4(schema: Any) -> Any:
    """Translate what OpenAPI 3.0 adds to JSON Schema (`nullable`) into plain Draft 4."""
    if isinstance(schema, list):
        return [_as_draft4(member) for member in schema]
    if not isinstance(schema, Mapping):
        return schema
    translated = {
        key: _named_schemas(value) if key == "properties" else _as_draft4(value)
        for key, value in schema.items()
        if key not in {"nullable", "example", "default", "discriminator", "xml"}
    }
    if schema.get("nullable"):
        translated = {"anyOf": [{"enum": [None]}, translated]}
    return translated


def _named_schemas(properties: Mapping[str, Any]) -> dict[str, Any]:
    # A property may be called `example` or `default`: names are not keywords.
    return {name: _as_draft4(schema) for name, schema in properties.items()}


def _described(error: ValidationError) -> list[Violation]:
    """Word an error for a client: what is expected, never what was sent."""
    path = tuple(error.instance_path)
    keyword = error.kind.name
    facts = error.kind.as_dict()
    if keyword == "required":
        missing = str(facts["property"])
        return [Violation((*path, missing), "required", "is required")]
    if keyword == "additionalProperties":
        return [
            Violation((*path, str(name)), "unknown", "is not known here")
            for name in facts["unexpected"]
        ]
    if keyword in {"anyOf", "oneOf"}:
        return _described_choice(keyword, facts["context"])
    template = _MESSAGES.get(keyword)
    message = template.format(**facts) if template else "does not fit the contract"
    if keyword == "type":
        message = f"must be of type {' or '.join(facts['types'])}"
    elif keyword == "enum":
        message = f"must be one of {', '.join(str(option) for option in facts['options'])}"
    return [Violation(path, keyword, message)]


def _described_choice(keyword: str, branches: list[list[ValidationError]]) -> list[Violation]:
    """Word a failed choice by the branch that was meant.

    Of `oneOf` that whose names are given: with the fewest that lack or are not known. `anyOf` is
    ours for `nullable`, and there it is the last.
    """
    described = [[one for error in branch for one in _described(error)] for branch in branches]
    if keyword == "anyOf":
        return described[-1]
    return min(described, key=lambda found: sum(one.code in _ABOUT_NAMES for one in found))


_ABOUT_NAMES = {"required", "unknown"}
_MESSAGES = {
    "not": "is what it must not be",
    "format": "must be a valid {format}",
    "maximum": "must be at most {limit}",
    "minimum": "must be at least {limit}",
    "maxItems": "must have at most {limit} items",
    "minItems": "must have at least {limit} items",
    "maxLength": "must have at most {limit} characters",
    "minLength": "must have at least {limit} characters",
    "maxProperties": "must have at most {limit} members",
    "minProperties": "must have at least {limit} members",
    "pattern": "must match {pattern}",
    "uniqueItems": "must not repeat an item",
}
