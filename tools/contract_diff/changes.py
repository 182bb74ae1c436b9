"""Tells what has changed between two documents, and which of it breaks clients that work."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tools.contract_diff.schema_changes import Change, Direction, SchemaComparison

Node = Mapping[str, Any]

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_REFERENCE_PREFIX: Final = "#/"
# How large a body may be of which the document says nothing by itself.
_LARGEST_BODY: Final = 1 << 20


def compare(before: Node, after: Node) -> list[Change]:
    """Return what a client may notice, breaking changes first; words and examples do not count.

    Breaking is whatever may stop a client that keeps to `before`: something it sends is refused, it
    is given what it was not told of, what it reads is gone, or a client generated from the document
    has other names.
    """
    comparison = _Comparison(before, after)
    found = dict.fromkeys(
        [
            *comparison.servers(),
            *comparison.schemes(),
            *comparison.names(),
            *comparison.operations(),
        ]
    )
    return sorted(found, key=lambda change: (not change.breaking, change.place, change.what))


def version_error(before: Node, after: Node, changes: list[Change]) -> str | None:
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

    def names(self) -> Iterator[Change]:
        """Types of generated clients are called by the schemas."""
        was, now = (
            each.get("components", {}).get("schemas", {}) for each in (self._before, self._after)
        )
        for name in was.keys() - now.keys():
            yield Change("schemas", f"{name} is gone, or is called otherwise", breaking=True)

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
        # The modules of generated clients are called by it.
        group, former = (one.get("tags", [])[:1] for one in (new, old))
        if group != former:
            yield Change(place, f"stands under {group}, no longer {former}", breaking=True)
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
            former, spelling = _spelling(was[key]), _spelling(now[key])
            for fact in ("style", "explode"):
                if former[fact] != spelling[fact]:
                    yield Change(at, f"{fact} is {spelling[fact]}", breaking=True)
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
            former, most = (one.get("x-max-bytes", _LARGEST_BODY) for one in (was, now))
            if former != most:
                said = f"may have {most} bytes, no longer {former}"
                yield Change(at, said, breaking=most < former)
            yield from self._content(was, now, at, Direction.REQUEST)

    def _responses(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        was, now = old["responses"], new["responses"]
        for status in was.keys() - now.keys():
            # A refusal that never comes again breaks nobody.
            yield Change(f"{place} {status}", "does not come any more", breaking=status < "400")
        for status in now.keys() - was.keys():
            # Not modified: only for those who ask for it.
            breaking = status < "400" and status != "304"
            yield Change(f"{place} {status}", "may be answered, too", breaking=breaking)
        for status in sorted(was.keys() & now.keys()):
            at = f"{place} {status}"
            olds, news = (_resolved(one[status], d) for one, d in self._both(was, now))
            yield from self._content(olds, news, at, Direction.RESPONSE)
            yield from self._headers(olds, news, at)
            yield from self._codes(olds, news, _shared("response", now[status]) or at)

    def _content(self, old: Node, new: Node, place: str, direction: Direction) -> Iterator[Change]:
        was, now = old.get("content", {}), new.get("content", {})
        for media_type in was.keys() - now.keys():
            yield Change(place, f"is no longer {media_type}", breaking=True)
        for media_type in now.keys() - was.keys():
            # Another form than those that were told is only safe for those who send it.
            breaking = direction is Direction.RESPONSE
            yield Change(place, f"may be {media_type}", breaking=breaking)
        for media_type in sorted(was.keys() & now.keys()):
            pair = was[media_type].get("schema", {}), now[media_type].get("schema", {})
            yield from self._schemas.changes(*pair, f"{place} {media_type}", direction)
            rows = was[media_type].get("x-csv-row"), now[media_type].get("x-csv-row")
            if all(rows):
                yield from self._schemas.changes(*rows, f"{place} {media_type} row", direction)

    def _codes(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        """Programs decide by the codes that a refusal's examples show."""
        was, now = (set(_shown_codes(one, d)) for one, d in self._both(old, new))
        for code in sorted(was - now):
            # By which name the same is refused from now on, nobody can tell.
            others = bool(now - was)
            said = f"the code {code} does not come any more{', others do' if others else ''}"
            yield Change(place, said, breaking=others)
        for code in sorted(now - was):
            yield Change(place, f"the code {code} may come, too", breaking=False)

    def _headers(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        was, now = (
            {name.lower(): header for name, header in one.get("headers", {}).items()}
            for one in (old, new)
        )
        for name in was.keys() - now.keys():
            yield Change(f"{place} {name}", "the header is gone", breaking=True)
        for name in now.keys() - was.keys():
            yield Change(f"{place} {name}", "a new header", breaking=False)
        for name in sorted(was.keys() & now.keys()):
            olds, news = (_resolved(one[name], d) for one, d in self._both(was, now))
            at = _shared("header", now[name]) or f"{place} {name}"
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


def _shared(kind: str, node: Node) -> str:
    """Return the place of what many answers share, which is told once; nothing for their own."""
    return f"{kind} {node['$ref'].rpartition('/')[2]}" if "$ref" in node else ""


def _shown_codes(response: Node, document: Node) -> Iterator[str]:
    problem = response.get("content", {}).get("application/problem+json", {})
    for example in problem.get("examples", {}).values():
        yield _resolved(example, document)["value"]["code"]


def _spelling(parameter: Node) -> Node:
    """Return how a parameter is written, with what goes without saying (OpenAPI 3.0, 4.7.12.2)."""
    style = parameter.get("style", "form" if parameter["in"] in {"query", "cookie"} else "simple")
    return {"style": style, "explode": parameter.get("explode", style == "form")}


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
