"""Schemas of the OpenAPI document, compiled once into validators.

Error messages say what is expected. They never echo the values of the input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from jsonschema_rs import Draft4Validator, ValidationError

MAX_VIOLATIONS = 20

# RFC 9562, section 4: hexadecimal digits of either case, without braces or a prefix.
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
# Only the shape of a date-time (RFC 3339, section 5.6). `parse_date_time` also rejects impossible
# values, such as month 13, and leap seconds, which Python and PostgreSQL cannot represent.
_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One violation of a schema: where it is, the keyword that failed, and what is expected."""

    path: tuple[str | int, ...]
    code: str
    message: str


def parse_date_time(text: str) -> datetime:
    """Return an RFC 3339 date-time as an aware datetime in UTC.

    Raises:
        ValueError: the text is not a date-time, is in a leap second, or is outside the years 1 to
            9999.
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
    """A schema object of OpenAPI 3.0, compiled to check parsed JSON."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._validator = Draft4Validator(
            _to_draft4(schema),
            validate_formats=True,
            formats={"uuid": _is_uuid, "date-time": _is_date_time},
            mask="value",  # error messages show this word instead of the value
        )
        self.accepts = self._validator.is_valid
        self._schema = schema

    def violations(self, instance: object) -> list[Violation]:
        """Return the violations of an instance, at most `MAX_VIOLATIONS`."""
        found: list[Violation] = []
        # A truncated copy limits the time: jsonschema-rs builds all errors before it returns the
        # first, a few microseconds for each. It also fails for a nesting depth of more than 255.
        for error in self._validator.iter_errors(_truncate(instance, [self._schema])):
            found.extend(_violations(error))
            if len(found) >= MAX_VIOLATIONS:
                break
        return found[:MAX_VIOLATIONS]


def _truncate(value: Any, schemas: Sequence[Mapping[str, Any]]) -> Any:
    """Return a smaller copy of an invalid value that violates the schemas in the same places.

    An array keeps one item more than `maxItems`. An object keeps the properties of the schemas, and
    `MAX_VIOLATIONS` others with null as their value. An array or object becomes empty where the
    schemas expect another type. So the copy is not much larger or deeper than a valid value.
    """
    schemas = list(_with_subschemas(schemas))
    if isinstance(value, list):
        arrays = [schema for schema in schemas if schema.get("type") == "array"]
        end = max((schema.get("maxItems", len(value)) + 1 for schema in arrays), default=0)
        item_schemas = [schema["items"] for schema in arrays]
        return [_truncate(item, item_schemas) for item in value[:end]]
    if isinstance(value, dict):
        properties = [schema["properties"] for schema in schemas if "properties" in schema]
        known = set().union(*properties)
        names = [name for name in value if name in known]  # in the order of the value
        others = islice((name for name in value if name not in known), MAX_VIOLATIONS)
        return dict.fromkeys(others) | {
            name: _truncate(value[name], [one[name] for one in properties if name in one])
            for name in names
        }
    return value


def _with_subschemas(schemas: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the schemas, and the subschemas of their `allOf`, `anyOf` and `oneOf`."""
    for schema in schemas:
        yield schema
        for keyword in ("allOf", "anyOf", "oneOf"):
            yield from _with_subschemas(schema.get(keyword, ()))


def _to_draft4(schema: Any) -> Any:
    """Translate a schema of OpenAPI 3.0 to JSON Schema Draft 4.

    `nullable` becomes an `anyOf` with null. `discriminator`, `xml`, and the annotations `default`
    and `example` are dropped: they do not affect validation.
    """
    if isinstance(schema, list):
        return [_to_draft4(member) for member in schema]
    if not isinstance(schema, Mapping):
        return schema
    translated = {
        key: _properties_to_draft4(value) if key == "properties" else _to_draft4(value)
        for key, value in schema.items()
        if key not in {"nullable", "example", "default", "discriminator", "xml"}
    }
    if schema.get("nullable"):
        translated = {"anyOf": [{"enum": [None]}, translated]}
    return translated


def _properties_to_draft4(properties: Mapping[str, Any]) -> dict[str, Any]:
    # Keys are property names here, not keywords: a property can be called `example`.
    return {name: _to_draft4(schema) for name, schema in properties.items()}


def _violations(error: ValidationError) -> list[Violation]:
    """Describe an error for a client: what is expected, never what was sent."""
    path = tuple(error.instance_path)
    keyword = error.kind.name
    details = error.kind.as_dict()
    if keyword == "required":
        missing = str(details["property"])
        return [Violation((*path, missing), "required", "is required")]
    if keyword == "additionalProperties":
        return [
            Violation((*path, str(name)), "unknown", "is unknown") for name in details["unexpected"]
        ]
    if keyword in {"anyOf", "oneOf"}:
        return _violations_of_subschemas(keyword, details["context"])
    if keyword == "not":
        # The first member that the `not` requires is the one that must be absent or different.
        path = (*path, *details["schema"].get("required", ())[:1])
    template = _MESSAGES.get(keyword)
    message = template.format(**details) if template else "does not match the contract"
    if keyword == "type":
        message = f"must be of type {' or '.join(details['types'])}"
    elif keyword == "enum":
        message = f"must be one of {', '.join(str(option) for option in details['options'])}"
    return [Violation(path, keyword, message)]


def _violations_of_subschemas(
    keyword: str, errors_by_subschema: list[list[ValidationError]]
) -> list[Violation]:
    """Describe a failed `oneOf` or `anyOf` by the subschema that the client most likely meant.

    For `oneOf` this is the subschema with the fewest missing and unknown members. `anyOf` comes
    from `nullable` (see `_to_draft4`): its first subschema accepts only null, and its last one is
    the schema without `nullable`. So the violations of the last one are returned.
    """
    violations_by_subschema = [
        [violation for error in errors for violation in _violations(error)]
        for errors in errors_by_subschema
    ]
    if keyword == "anyOf":
        return violations_by_subschema[-1]
    return min(
        violations_by_subschema,
        key=lambda violations: sum(violation.code in _MEMBER_CODES for violation in violations),
    )


_MEMBER_CODES = {"required", "unknown"}
_MESSAGES = {
    "not": "has a value that is not allowed",
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
