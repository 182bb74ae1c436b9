"""What a changed schema means to clients: less is taken from them, or more is told to them.

A schema that narrows breaks those who send it, and one that widens breaks those who read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

Schema = Mapping[str, Any]


class Direction(Enum):
    """Where a schema stands: in what the server reads, or in what clients read."""

    REQUEST = "in requests"
    RESPONSE = "in answers"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two documents, and whether a client that works may stop working."""

    place: str
    what: str
    breaking: bool

    def __str__(self) -> str:
        return f"{'BREAKING' if self.breaking else 'fine':8}  {self.place}: {self.what}"


class SchemaComparison:
    """Compares the schemas of two documents, each pair of components once for each direction."""

    def __init__(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        self._before, self._after = before, after
        self._seen: set[tuple[str, str, Direction]] = set()

    def changes(
        self, before: Schema, after: Schema, place: str, direction: Direction
    ) -> Iterator[Change]:
        """Yield what is different, everything below included."""
        was, now = str(before.get("$ref", "")), str(after.get("$ref", ""))
        if was and now:
            if (was, now, direction) in self._seen:
                return
            self._seen.add((was, now, direction))
            place = f"{now.rpartition('/')[2]} {direction.value}"
        old, new = _whole(before, self._before), _whole(after, self._after)
        for what, narrowed, widened in _differences(old, new):
            breaking = narrowed if direction is Direction.REQUEST else widened
            yield Change(place, what, breaking)
        yield from self._default(old, new, place, direction)
        yield from self._properties(old, new, place, direction)
        yield from self._alternatives(old, new, place, direction)
        for keyword in _WITHIN:
            if isinstance(old.get(keyword), Mapping) and isinstance(new.get(keyword), Mapping):
                at = f"{place}/{keyword}"
                yield from self.changes(old[keyword], new[keyword], at, direction)

    def _default(
        self, old: Schema, new: Schema, place: str, direction: Direction
    ) -> Iterator[Change]:
        if direction is Direction.REQUEST and old.get("default") != new.get("default"):
            said = f"the default is {new.get('default')!r}, no longer {old.get('default')!r}"
            yield Change(place, said, breaking="default" in old)

    def _properties(
        self, old: Schema, new: Schema, place: str, direction: Direction
    ) -> Iterator[Change]:
        olds, news = old.get("properties", {}), new.get("properties", {})
        was, now = set(old.get("required", ())), set(new.get("required", ()))
        is_request = direction is Direction.REQUEST
        for name in olds.keys() - news.keys():
            refused = not is_request or new.get("additionalProperties") is False
            yield Change(f"{place}/{name}", "the member is gone", breaking=refused)
        for name in news.keys() - olds.keys():
            is_asked = is_request and name in now
            what = "a new member that must be sent" if is_asked else "a new member"
            yield Change(f"{place}/{name}", what, breaking=is_asked)
        for name in sorted(olds.keys() & news.keys()):
            if name in now - was:
                yield Change(f"{place}/{name}", "must be there from now on", breaking=is_request)
            if name in was - now:
                yield Change(f"{place}/{name}", "may be left out", breaking=not is_request)
            yield from self.changes(olds[name], news[name], f"{place}/{name}", direction)

    def _alternatives(
        self, old: Schema, new: Schema, place: str, direction: Direction
    ) -> Iterator[Change]:
        for keyword in ("oneOf", "anyOf"):
            was, now = old.get(keyword, ()), new.get(keyword, ())
            olds, news = _named(was, besides=now), _named(now, besides=was)
            if not olds and not news:
                continue
            for name in olds.keys() - news.keys():
                lost = direction is Direction.REQUEST or not news
                yield Change(place, f"the alternative {name} is gone", breaking=lost)
            for name in news.keys() - olds.keys():
                met = direction is Direction.RESPONSE or not olds
                yield Change(place, f"a new alternative, {name}", breaking=met)
            for name in olds.keys() & news.keys():
                yield from self.changes(olds[name], news[name], f"{place}/{name}", direction)


def _whole(schema: Schema, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with its reference and `allOf` written out."""
    if "$ref" in schema:
        place: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        return _whole(place, document)
    own = {key: value for key, value in schema.items() if key != "allOf"}
    whole: dict[str, Any] = {}
    for part in [*(_whole(one, document) for one in schema.get("allOf", ())), own]:
        properties = {**whole.get("properties", {}), **part.get("properties", {})}
        required = [*whole.get("required", ()), *part.get("required", ())]
        whole.update(part, properties=properties, required=required)
    return whole


def _named(alternatives: Any, *, besides: Any) -> dict[str, Schema]:
    """Return alternatives by name; of those without one, what is not among the others as well."""
    own = [one for one in alternatives if "$ref" in one or one not in besides]
    return {
        one.get("$ref", f"number {number}").rpartition("/")[2]: one
        for number, one in enumerate(own, 1)
    }


# What is said of a difference, whether less fits than before, and whether more does.
Difference = tuple[str, bool, bool]


def _differences(old: Schema, new: Schema) -> Iterator[Difference]:
    yield from _of_type(old, new)
    yield from _of_enum(old, new)
    for keyword, outside in _BOUNDS.items():
        was, now = (one.get(keyword, _LEAST.get(keyword)) for one in (old, new))
        if was != now:
            narrowed = now is not None and (was is None or outside(was, now))
            yield f"{keyword} is {now}, no longer {was}", narrowed, not narrowed
    for keyword in ("pattern", "format", "multipleOf", "not"):
        was, now = _without_words(old.get(keyword)), _without_words(new.get(keyword))
        if was != now:
            # Whether one pattern lets through all that another did, nobody can tell.
            said = f"{keyword} is {now}, no longer {was}"
            yield said, now is not None, was is not None
    for keyword in ("uniqueItems", "exclusiveMinimum", "exclusiveMaximum"):
        was, now = bool(old.get(keyword)), bool(new.get(keyword))
        if was != now:
            yield f"{keyword} is {str(now).lower()}", now, was
    yield from _of_what_is_within(old, new)
    for keyword in sorted((old.keys() | new.keys()) - _KNOWN):
        was, now = old.get(keyword), new.get(keyword)
        if was != now and not keyword.startswith("x-"):
            # What it lets through, nobody can tell.
            yield f"{keyword} is {now}, no longer {was}", True, True


def _of_what_is_within(old: Schema, new: Schema) -> Iterator[Difference]:
    for keyword in _WITHIN:
        was, now = (isinstance(one.get(keyword), Mapping) for one in (old, new))
        if was != now and False not in (old.get(keyword), new.get(keyword)):
            yield f"{keyword} is {'newly judged' if now else 'not judged any more'}", now, was
    closed = [one.get("additionalProperties") is False for one in (old, new)]
    if closed[0] != closed[1]:
        # Readers are told to pass over members that they do not know.
        yield f"is {'closed' if closed[1] else 'open to further members'}", closed[1], False


def _of_type(old: Schema, new: Schema) -> Iterator[Difference]:
    was, now = old.get("type"), new.get("type")
    if was != now:
        numbers = {was, now} == {"integer", "number"}
        narrowed = now == "integer" if numbers else now is not None
        widened = now == "number" if numbers else was is not None
        yield f"the type is {now}, no longer {was}", narrowed, widened
    if bool(old.get("nullable")) != bool(new.get("nullable")):
        may_be = bool(new.get("nullable"))
        yield f"{'may' if may_be else 'must not'} be null", not may_be, may_be


def _of_enum(old: Schema, new: Schema) -> Iterator[Difference]:
    was, now = old.get("enum"), new.get("enum")
    if was is None and now is not None:
        yield f"is one of {now} only", True, False
    elif was is not None and now is None:
        yield "is no longer one of a few values", False, True
    elif was is not None and now is not None:
        for value in was:
            if value not in now:
                yield f"is no longer {value!r}", True, False
        for value in now:
            if value not in was:
                yield f"may be {value!r}", False, True


def _without_words(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _without_words(value) for key, value in node.items() if key not in _WORDS}
    return node


def _rises(was: float, now: float) -> bool:
    return now > was


def _falls(was: float, now: float) -> bool:
    return now < was


# Which way each bound moves when less fits.
_BOUNDS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "minimum": _rises,
    "minLength": _rises,
    "minItems": _rises,
    "minProperties": _rises,
    "maximum": _falls,
    "maxLength": _falls,
    "maxItems": _falls,
    "maxProperties": _falls,
}
_WORDS: Final = {"description", "example", "title", "externalDocs", "deprecated"}
# Where one schema is that of all that is in a value.
_WITHIN: Final = ("items", "additionalProperties")
_KNOWN: Final = {
    *(*_WORDS, *_WITHIN, *_BOUNDS),
    *("$ref", "type", "nullable", "enum", "pattern", "format", "multipleOf", "not", "default"),
    *("uniqueItems", "exclusiveMinimum", "exclusiveMaximum"),
    *("properties", "required", "allOf", "oneOf", "anyOf"),
}
# What a bound is that is not written down.
_LEAST: Final = {"minLength": 0, "minItems": 0, "minProperties": 0}
