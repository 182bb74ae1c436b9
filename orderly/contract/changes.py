"""Tells what has changed between two documents, and which of it breaks clients that work."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from orderly.contract.schema_changes import Change, Direction, SchemaComparison

Node = Mapping[str, Any]

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_REFERENCE_PREFIX: Final = "#/"


def compare(before: Node, after: Node) -> list[Change]:
    """Return what a client may notice, breaking changes first; words and examples do not count.

    Breaking is whatever may stop a client that keeps to `before`: something it sends is refused, it
    is given what it was not told of, what it reads is gone, or a client generated from the document
    has other names.
    """
    comparison = _Comparison(before, after)
    found = dict.fromkeys([*comparison.servers(), *comparison.schemes(), *comparison.operations()])
    return sorted(found, key=lambda change: (not change.breaking, change.place, change.what))


def broken_promise(before: Node, after: Node, changes: list[Change]) -> str | None:
    """Return what the version must be and is not, or None where it says what has changed.

    Semantic Versioning: what breaks needs another major version; before 1.0, another minor one.
    """
    was, now = (_version(document["info"]["version"]) for document in (before, after))
    if now < was:
        return f"the version went back, from {was} to {now}"
    if not any(change.breaking for change in changes):
        return None
    if was[0] == 0 and now[:2] == was[:2]:
        return f"something breaks: the version must be 0.{was[1] + 1}.0 at least"
    if was[0] > 0 and now[0] == was[0]:
        return f"something breaks: the version must be {was[0] + 1}.0.0 at least"
    return None


def _version(text: str) -> tuple[int, int, int]:
    major, minor, patch = text.partition("-")[0].split(".")
    return int(major), int(minor), int(patch)


class _Comparison:
    """Two documents side by side."""

    def __init__(self, before: Node, after: Node) -> None:
        self._before, self._after = before, after
        self._schemas = SchemaComparison(before, after)

    def servers(self) -> Iterator[Change]:
        was, now = (
            {one["url"] for one in each.get("servers", ())} for each in (self._before, self._after)
        )
        for url in was - now:
            yield Change("servers", f"nothing is at {url} any more", breaking=True)
        for url in now - was:
            yield Change("servers", f"also at {url}", breaking=False)

    def schemes(self) -> Iterator[Change]:
        was, now = (
            each.get("components", {}).get("securitySchemes", {})
            for each in (self._before, self._after)
        )
        for name in was.keys() & now.keys():
            for fact in ("type", "in", "name", "scheme"):
                if was[name].get(fact) != now[name].get(fact):
                    said = f"{fact} is {now[name].get(fact)}, no longer {was[name].get(fact)}"
                    yield Change(f"sign-in by {name}", said, breaking=True)

    def operations(self) -> Iterator[Change]:
        was, now = _operations(self._before), _operations(self._after)
        for key in was.keys() - now.keys():
            yield Change(_label(key), "the operation is gone", breaking=True)
        for key in now.keys() - was.keys():
            yield Change(_label(key), "a new operation", breaking=False)
        for key in sorted(was.keys() & now.keys()):
            yield from self._operation(was[key], now[key], _label(key))

    def _operation(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        if old.get("operationId") != new.get("operationId"):
            said = f"is called {new.get('operationId')}, no longer {old.get('operationId')}"
            yield Change(place, said, breaking=True)
        if old.get("deprecated", False) != new.get("deprecated", False):
            said = "is deprecated" if new.get("deprecated") else "is no longer deprecated"
            yield Change(place, said, breaking=False)
        role = new.get("x-required-role")
        if role != old.get("x-required-role"):
            yield Change(
                place, f"is for the role {role or 'of anybody'}", breaking=role is not None
            )
        yield from self._security(old, new, place)
        yield from self._parameters(old, new, place)
        yield from self._request_body(old, new, place)
        yield from self._responses(old, new, place)

    def _security(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        was = _ways_in(old.get("security", self._before.get("security")))
        now = _ways_in(new.get("security", self._after.get("security")))
        for way in was:
            if not any(accepted <= way for accepted in now):
                by = " and ".join(sorted(way)) or "nobody in particular"
                yield Change(place, f"signing in by {by} is not enough any more", breaking=True)
        for way in now - was:
            by = " and ".join(sorted(way)) or "nobody in particular"
            yield Change(place, f"takes signing in by {by}", breaking=False)

    def _parameters(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        was, now = _parameters(old, self._before), _parameters(new, self._after)
        for key in was.keys() - now.keys():
            # Parameters that are not described are refused.
            yield Change(f"{place} {_named(key)}", "the parameter is gone", breaking=True)
        for key in now.keys() - was.keys():
            is_asked = bool(now[key].get("required"))
            said = "a new parameter that must be sent" if is_asked else "a new parameter"
            yield Change(f"{place} {_named(key)}", said, breaking=is_asked)
        for key in sorted(was.keys() & now.keys()):
            at = f"{place} {_named(key)}"
            yield from _obligation(was[key], now[key], at)
            for fact in ("style", "explode"):
                if was[key].get(fact) != now[key].get(fact):
                    yield Change(at, f"{fact} is {now[key].get(fact)}", breaking=True)
            yield from self._schemas.changes(
                was[key]["schema"], now[key]["schema"], at, Direction.REQUEST
            )

    def _request_body(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        at = f"{place} body"
        was, now = (_resolved(one.get("requestBody"), d) for one, d in self._both(old, new))
        if not was and now:
            said = "takes a body"
            yield Change(at, said, breaking=bool(now.get("required")))
        elif was and not now:
            yield Change(at, "takes no body any more", breaking=True)
        elif was and now:
            yield from _obligation(was, now, at)
            yield from self._content(was, now, at, Direction.REQUEST)

    def _responses(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        was, now = old["responses"], new["responses"]
        for status in was.keys() - now.keys():
            # A refusal that never comes again breaks nobody.
            yield Change(f"{place} {status}", "does not come any more", breaking=status < "400")
        for status in now.keys() - was.keys():
            yield Change(f"{place} {status}", "may be answered, too", breaking=status < "300")
        for status in sorted(was.keys() & now.keys()):
            at = f"{place} {status}"
            olds, news = (_resolved(one[status], d) for one, d in self._both(was, now))
            yield from self._content(olds, news, at, Direction.RESPONSE)
            yield from self._headers(olds, news, at)

    def _content(self, old: Node, new: Node, place: str, direction: Direction) -> Iterator[Change]:
        was, now = old.get("content", {}), new.get("content", {})
        for media_type in was.keys() - now.keys():
            yield Change(place, f"is no longer {media_type}", breaking=True)
        for media_type in now.keys() - was.keys():
            # Another form than all of those that were told is only safe for those who send it.
            breaking = direction is Direction.RESPONSE and not was
            yield Change(place, f"may be {media_type}", breaking=breaking)
        for media_type in sorted(was.keys() & now.keys()):
            pair = was[media_type].get("schema", {}), now[media_type].get("schema", {})
            yield from self._schemas.changes(*pair, f"{place} {media_type}", direction)

    def _headers(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        was, now = old.get("headers", {}), new.get("headers", {})
        for name in was.keys() - now.keys():
            yield Change(f"{place} {name}", "the header is gone", breaking=True)
        for name in now.keys() - was.keys():
            yield Change(f"{place} {name}", "a new header", breaking=False)
        for name in sorted(was.keys() & now.keys()):
            olds, news = (_resolved(one[name], d) for one, d in self._both(was, now))
            # What many answers share is told once.
            at = f"header {name}" if "$ref" in now[name] else f"{place} {name}"
            if olds.get("required", False) != news.get("required", False):
                may_miss = not news.get("required")
                said = "may be missing" if may_miss else "is always there"
                yield Change(at, said, breaking=may_miss)
            yield from self._schemas.changes(olds["schema"], news["schema"], at, Direction.RESPONSE)

    def _both(self, old: Node, new: Node) -> Iterator[tuple[Node, Node]]:
        return iter(((old, self._before), (new, self._after)))


def _obligation(old: Node, new: Node, place: str) -> Iterator[Change]:
    if bool(old.get("required")) != bool(new.get("required")):
        is_asked = bool(new.get("required"))
        yield Change(place, f"{'must' if is_asked else 'need not'} be sent", breaking=is_asked)


def _operations(document: Node) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the operations by path and method, with the parameters of their path."""
    return {
        (re.sub(r"\{[^}]*\}", "{}", path), method): {
            **item[method],
            "parameters": [*item.get("parameters", ()), *item[method].get("parameters", ())],
            "path": path,
        }
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    }


def _label(key: tuple[str, str]) -> str:
    return f"{key[1].upper()} {key[0]}"


def _named(key: tuple[str, str]) -> str:
    return f"{key[0]} parameter {key[1]}"


def _parameters(operation: Node, document: Node) -> dict[tuple[str, str], Node]:
    resolved = [_resolved(one, document) for one in operation["parameters"]]
    return {(one["in"], one["name"]): one for one in resolved}


def _ways_in(security: Any) -> set[frozenset[str]]:
    """Return the sets of schemes each of which lets somebody in; the empty one lets in anybody."""
    return {frozenset(way) for way in security or [{}]}


def _resolved(node: Any, document: Node) -> Any:
    while isinstance(node, Mapping) and "$ref" in node:
        place: Any = document
        for step in node["$ref"].removeprefix(_REFERENCE_PREFIX).split("/"):
            place = place[step]
        node = place
    return node or {}
