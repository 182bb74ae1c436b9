"""Path, query and header parameters: parsed by their types, and validated by their schemas."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from orderly.contract.schemas import CompiledSchema, Violation, parse_date_time
from orderly.http.problems import Problem

MAX_QUERY_FIELDS = 100

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_BOOLEANS = {"true": True, "false": False}

# OpenAPI ignores parameter definitions with these names (OpenAPI 3.0.3, Parameter Object).
_RESERVED_HEADERS = {"accept", "authorization", "content-type"}


def python_name(parameter: str) -> str:
    """Return the name of the handler's argument: `if_match` for the parameter `If-Match`."""
    return parameter.lower().replace("-", "_")


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    # "path", "query" or "header".
    location: str
    python_name: str
    is_list: bool
    # Turns the text in the request into the JSON value that the schema checks.
    parse: Callable[[str], object]
    # Turns the checked value into the handler's argument; None keeps the value.
    convert: Callable[[Any], object] | None


class ParameterPlan:
    """The parameters of one operation: how they are parsed, checked and converted."""

    def __init__(self, definitions: Iterable[Mapping[str, Any]]) -> None:
        # Connexion appends the parameters of a path item once per middleware: keep one of each.
        unique = {(one["in"], one["name"]): one for one in definitions}
        used = [
            one
            for (location, name), one in unique.items()
            if location in {"path", "query"}
            or (location == "header" and name.lower() not in _RESERVED_HEADERS)
        ]
        self._in_path: dict[str, _Parameter] = {}
        self._in_query: dict[str, _Parameter] = {}
        # By the name as ASGI sends it: in lower case
        self._in_headers: dict[bytes, _Parameter] = {}
        self._by_python_name: dict[str, _Parameter] = {}
        self._defaults: dict[str, object] = {}
        for definition in used:
            self._add(definition)
        self._conversions = tuple(
            (parameter.python_name, parameter.convert)
            for parameter in self._by_python_name.values()
            if parameter.convert is not None
        )
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {python_name(one["name"]): one["schema"] for one in used},
        }
        if required := [python_name(one["name"]) for one in used if one.get("required")]:
            schema["required"] = required  # JSON Schema Draft 4 does not allow an empty list here
        self._schema = CompiledSchema(schema)
        self.names = frozenset(self._by_python_name)

    def _add(self, definition: Mapping[str, Any]) -> None:
        parameter = _plan(definition)
        if parameter.python_name in self._by_python_name:
            raise ValueError(f"two parameters have the Python name {parameter.python_name}")
        if parameter.location == "path":
            self._in_path[parameter.name] = parameter
        elif parameter.location == "query":
            self._in_query[parameter.name] = parameter
        else:
            self._in_headers[parameter.name.lower().encode("latin-1")] = parameter
        self._by_python_name[parameter.python_name] = parameter
        if "default" in definition["schema"]:
            self._defaults[parameter.python_name] = definition["schema"]["default"]

    def read(
        self,
        path: Mapping[str, str],
        query_string: bytes,
        headers: Iterable[tuple[bytes, bytes]],
    ) -> dict[str, Any]:
        """Return the arguments of a request by their Python names, with defaults.

        Raises:
            Problem: `malformed_request`, with all parameters that are invalid.
        """
        values: dict[str, Any] = dict(self._defaults)
        errors: list[Violation] = []
        for name, parameter in self._in_path.items():
            values[parameter.python_name] = parameter.parse(path[name])
        if query_string:
            self._read_query(query_string, values, errors)
        if self._in_headers:
            self._read_headers(headers, values, errors)
        if errors or not self._schema.accepts(values):
            errors.extend(self._schema.violations(values))
            raise Problem(
                "malformed_request",
                "The parameters of the request do not match the contract.",
                errors=[self._error(violation) for violation in errors],
            )
        for name, convert in self._conversions:
            if name in values:
                values[name] = convert(values[name])
        return values

    def _read_query(
        self, query_string: bytes, values: dict[str, Any], errors: list[Violation]
    ) -> None:
        lists: dict[str, list[object]] = {}
        seen: set[str] = set()
        for name, text in _query_fields(query_string):
            parameter = self._in_query.get(name)
            if parameter is None:
                errors.append(Violation((name[:64],), "unknown", "is unknown"))
            elif parameter.is_list:
                lists.setdefault(parameter.python_name, []).append(parameter.parse(text))
            elif name in seen:
                errors.append(Violation((parameter.python_name,), "repeated", "occurs twice"))
            else:
                seen.add(name)
                values[parameter.python_name] = parameter.parse(text)
        values.update(lists)

    def _read_headers(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        values: dict[str, Any],
        errors: list[Violation],
    ) -> None:
        for raw_name, raw_value in headers:
            parameter = self._in_headers.get(raw_name)
            if parameter is None:
                continue
            if parameter.python_name in values:
                errors.append(Violation((parameter.python_name,), "repeated", "occurs twice"))
            values[parameter.python_name] = parameter.parse(raw_value.decode("latin-1"))

    def _error(self, violation: Violation) -> dict[str, str]:
        name = str(violation.path[0])
        parameter = self._by_python_name.get(name)
        return {
            "parameter": parameter.name if parameter else name,
            "in": parameter.location if parameter else "query",
            "code": violation.code,
            "message": violation.message,
        }


def _query_fields(query_string: bytes) -> Sequence[tuple[str, str]]:
    try:
        return parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_QUERY_FIELDS,
        )
    except UnicodeError as error:
        raise Problem("malformed_request", "The query string is not UTF-8.") from error
    except ValueError as error:
        raise Problem(
            "malformed_request", f"The query string has more than {MAX_QUERY_FIELDS} fields."
        ) from error


def _plan(definition: Mapping[str, Any]) -> _Parameter:
    schema = definition["schema"]
    is_list = schema.get("type") == "array"
    if is_list and not (definition.get("style", "form") == "form" and definition.get("explode", 1)):
        raise ValueError(f"{definition['name']}: a list must be repeated fields (form, explode)")
    item = schema["items"] if is_list else schema
    convert = _CONVERSIONS.get(item.get("format", ""))
    return _Parameter(
        name=definition["name"],
        location=definition["in"],
        python_name=python_name(definition["name"]),
        is_list=is_list,
        parse=_PARSERS.get(item.get("type", "string"), _text),
        convert=_convert_items(convert) if convert and is_list else convert,
    )


def _text(text: str) -> object:
    return text


def _integer(text: str) -> object:
    # Other text is returned unchanged: the schema's type check then refuses it.
    return int(text) if _INTEGER.fullmatch(text) else text


def _boolean(text: str) -> object:
    return _BOOLEANS.get(text, text)


def _convert_items(convert: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda values: [convert(value) for value in values]


_PARSERS: Mapping[str, Callable[[str], object]] = {"integer": _integer, "boolean": _boolean}
_CONVERSIONS: Mapping[str, Callable[[Any], object]] = {"uuid": UUID, "date-time": parse_date_time}
