"""The handlers of the mock: each responds with an example of its operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from starlette.types import Scope

from handlers.cookies import SessionCookies
from handlers.responses import BASE_PATH, Response
from orderly.contract.references import resolve
from orderly.contract.responses import is_json
from orderly.http.problems import MEDIA_TYPE as PROBLEM_MEDIA_TYPE
from orderly.mock.examples import Example, documented_examples, preferred_example

_SESSION_LIFETIME = timedelta(days=1)

Handler = Callable[..., Any]


def example_handlers(contract: Mapping[str, Any], cookies: SessionCookies) -> dict[str, Handler]:
    """Return the handler of each operation by its operationId."""
    locations = _locations(contract)
    return {
        operation["operationId"]: _example_handler(
            documented_examples(contract, operation),
            location=locations.get(operation["operationId"]),
            cookies=cookies,
        )
        for path_item in contract["paths"].values()
        for operation in resolve(contract, path_item).values()
        if isinstance(operation, Mapping) and "operationId" in operation
    }


def _example_handler(
    examples: Sequence[Example], *, location: str | None, cookies: SessionCookies
) -> Handler:
    async def handle(scope: Scope, **_arguments: object) -> Response:
        example = preferred_example(examples, scope["headers"])
        headers: dict[str, Any] = dict(example.headers)
        if "Set-Cookie" in headers:
            headers["Set-Cookie"] = _session_cookies(cookies, example.status)
        if "Location" in headers and location is not None:
            headers["Location"] = location.format(example.value["id"])
        applied = f"code={example.status}"
        if example.name is not None:
            applied += f", example={example.name}"
        headers["Preference-Applied"] = applied  # RFC 7240, section 3
        return _body(example, request_id=scope["orderly"]["request_id"]), example.status, headers

    return handle


def _body(example: Example, *, request_id: str) -> Any:
    """Return the body as a handler returns it: a JSON value, or chunks of another media type."""
    if example.media_type == PROBLEM_MEDIA_TYPE:
        return {**example.value, "request_id": request_id}
    if example.media_type is None or is_json(example.media_type):
        return example.value
    return iter([str(example.value).encode()])


def _session_cookies(cookies: SessionCookies, status: int) -> list[str]:
    """Return cookies that have not expired, unlike those in the document; clear them for 204."""
    expires = datetime.now(UTC) + _SESSION_LIFETIME
    if status == HTTPStatus.NO_CONTENT:
        return cookies.clear()
    return cookies.set("mock", expires, "mock", expires)


def _locations(contract: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the path of a created resource by operationId, with `{}` in place of the id.

    The path comes from the links of the 201 response: the first link that passes the id in the body
    to a GET operation whose path ends with this parameter.
    """
    get_paths = {
        path_item["get"]["operationId"]: path
        for path, path_item in contract["paths"].items()
        if "get" in path_item
    }
    locations = {}
    for path_item in contract["paths"].values():
        created = path_item.get("post", {}).get("responses", {}).get("201", {})
        for link in resolve(contract, created).get("links", {}).values():
            parameters = link.get("parameters", {})
            path = get_paths.get(link.get("operationId"), "")
            if list(parameters.values()) == ["$response.body#/id"] and path.endswith("}"):
                placeholder = f"{{{next(iter(parameters))}}}"
                location = BASE_PATH + path.replace(placeholder, "{}")
                locations[path_item["post"]["operationId"]] = location
                break
    return locations
