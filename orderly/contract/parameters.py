"""Path, query and header parameters: read only as the document's types spell them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from orderly.contract.schemas import CompiledSchema, Violation, parse_date_time
from orderly.http.problems import Problem

MOST_QUERY_FIELDS = 100

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_BOOLEANS = {"true": True, "false": False}

# Parameters that belong to HTTP itself; OpenAPI has them ignored where a document lists them.
_RESERVED_HEADERS = {"accept", "authorization", "content-type"}


def python_name(parameter: str) -> str:
    """Return the name by which a handler takes a parameter: `If-Match` is `if_match`."""
    return parameter.lower().replace("-", "_")


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    place: str
    python_name: str
    is_list: bool
    read: Callable[[str], object]
    convert: Callable[[Any], object] | None


class ParameterPlan:
    """The parameters of one operation: how to read, judge and convert them."""

    def __init__(self, definitions: Iterable[Mapping[str, Any]]) -> None:
        # Connexion adds a path item's parameters again at each reading: keep one of each.
        unique = {(one["in"], one["name"]): one for one in definitions}
        used = [
            one
            for (place, name), one in unique.items()
            if place in {"path", "query"} or (place == "header" and _is_own(name))
        ]
        self._by_place: dict[str, dict[str, _Parameter]] = {"path": {}, "query": {}, "header": {}}
        self._places: dict[str, tuple[str, str]] = {}
        self._defaults: dict[str, object] = {}
        converted = []
        for definition in used:
            parameter = _planned(definition)
            if parameter.python_name in self._places:
                raise ValueError(f"two parameters are called {parameter.python_name}")
            key = definition["name"].lower() if parameter.place == "header" else parameter.name
            self._by_place[parameter.place][key] = parameter
            self._places[parameter.python_name] = (parameter.place, parameter.name)
            if "default" in definition["schema"]:
                self._defaults[parameter.python_name] = definition["schema"]["default"]
            if parameter.convert is not None:
                converted.append((parameter.python_name, parameter.convert))
        self._converted = tuple(converted)
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {python_name(one["name"]): one["schema"] for one in used},
        }
        if required := [python_name(one["name"]) for one in used if one.get("required")]:
            schema["required"] = required  # Draft 4 takes no empty list here
        self._schema = CompiledSchema(schema)
        self.names = frozenset(self._places)

    def read(
        self,
        path: Mapping[str, str],
        query_string: bytes,
        headers: Iterable[tuple[bytes, bytes]],
    ) -> dict[str, Any]:
        """Return the arguments that a request spells, by Python name, defaults filled in.

        Raises:
            Problem: `malformed_request`, with every parameter that is wrong.
        """
        values: dict[str, Any] = dict(self._defaults)
        errors: list[Violation] = []
        for name, parameter in self._by_place["path"].items():
            values[parameter.python_name] = parameter.read(path[name])
        if query_string:
            self._read_query(query_string, values, errors)
        if self._by_place["header"]:
            self._read_headers(headers, values, errors)
        if errors or not self._schema.accepts(values):
            errors.extend(self._schema.violations(values))
            raise Problem(
                "malformed_request",
                "The request's parameters do not fit the contract.",
                errors=[self._error(violation) for violation in errors],
            )
        for name, convert in self._converted:
            if name in values:
                values[name] = convert(values[name])
        return values

    def _read_query(
        self, query_string: bytes, values: dict[str, Any], errors: list[Violation]
    ) -> None:
        lists: dict[str, list[object]] = {}
        seen: set[str] = set()
        for name, text in _query_fields(query_string):
            parameter = self._by_place["query"].get(name)
            if parameter is None:
                errors.append(Violation((name[:64],), "unknown", "is not known here"))
            elif parameter.is_list:
                lists.setdefault(parameter.python_name, []).append(parameter.read(text))
            elif name in seen:
                errors.append(Violation((parameter.python_name,), "repeated", "is given twice"))
            else:
                seen.add(name)
                values[parameter.python_name] = parameter.read(text)
        values.update(lists)

    def _read_headers(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        values: dict[str, Any],
        errors: list[Violation],
    ) -> None:
        for raw_name, raw_value in headers:
            parameter = self._by_place["header"].get(raw_name.decode("latin-1"))
            if parameter is None:
                continue
            if parameter.python_name in values:
                errors.append(Violation((parameter.python_name,), "repeated", "is given twice"))
            values[parameter.python_name] = parameter.read(raw_value.decode("latin-1"))

    def _error(self, violation: Violation) -> dict[str, str]:
        name = str(violation.path[0])
        place, spelled = self._places.get(name, ("query", name))
        return {
            "parameter": spelled,
            "in": place,
            "code": violation.code,
            "message": violation.message,
        }


def _is_own(header: str) -> bool:
    return header.lower() not in _RESERVED_HEADERS


def _query_fields(query_string: bytes) -> Sequence[tuple[str, str]]:
    try:
        return parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_QUERY_FIELDS,
        )
    except UnicodeError as error:
        raise Problem("malformed_request", "The query string is not UTF-8.") from error
    except ValueError as error:
        raise Problem(
            "malformed_request", f"The query string has more than {MOST_QUERY_FIELDS} fields."
        ) from error


def _planned(definition: Mapping[str, Any]) -> _Parameter:
    schema = definition["schema"]
    is_list = schema.get("type") == "array"
    if is_list and not (definition.get("style", "form") == "form" and definition.get("explode", 1)):
        raise ValueError(f"{definition['name']}: lists are read as repeated fields only")
    item = schema["items"] if is_list else schema
    convert = _CONVERSIONS.get(item.get("format", ""))
    return _Parameter(
        name=definition["name"],
        place=definition["in"],
        python_name=python_name(definition["name"]),
        is_list=is_list,
        read=_READERS.get(item.get("type", "string"), _as_spelled),
        convert=_each(convert) if convert and is_list else convert,
    )


def _as_spelled(text: str) -> object:
    return text


def _integer(text: str) -> object:
    # What spells no integer stays text, and the schema's own type check refuses it by name.
    return int(text) if _INTEGER.fullmatch(text) else text


def _boolean(text: str) -> object:
    return _BOOLEANS.get(text, text)


def _each(convert: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda values: [convert(value) for value in values]


_READERS: Mapping[str, Callable[[str], object]] = {"integer": _integer, "boolean": _boolean}
_CONVERSIONS: Mapping[str, Callable[[Any], object]] = {"uuid": UUID, "date-time": parse_date_time}
