"""The last step of the chain in the mock: judge a request as the shop does, answer an example."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson
from connexion.operations import AbstractOperation
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.cookies import SessionCookies
from orderly.contract.bodies import BodyPlan, ClientGoneError
from orderly.contract.operations import CompiledAPI, CompiledApp
from orderly.contract.parameters import ParameterPlan
from orderly.contract.responses import is_json
from orderly.http.problems import MEDIA_TYPE
from orderly.mock.examples import Example, documented, preferred

_SESSION = timedelta(days=1)


class MockOperation:
    """One operation of the document, with all that it may answer."""

    def __init__(
        self,
        operation: AbstractOperation,
        *,
        max_body_bytes: int,
        locations: Mapping[str, str],
        cookies: SessionCookies,
    ) -> None:
        self._cookies = cookies
        self._parameters = ParameterPlan(operation.parameters)
        self._body = (
            BodyPlan(operation.request_body, max_bytes=max_body_bytes)
            if operation.request_body
            else None
        )
        self._examples = documented(operation.responses)
        self._location = locations.get(operation.operation_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            Problem: the request departs from the contract, or prefers what that does not have.
        """
        if self._body is not None:
            try:
                await self._body.read(scope["headers"], receive)
            except ClientGoneError:
                return
        self._parameters.read(scope["path_params"], scope["query_string"], scope["headers"])
        example = preferred(self._examples, scope["headers"])
        answer = self._answer(example, request_id=scope["orderly"]["request_id"])
        await answer(scope, receive, send)

    def _answer(self, example: Example, *, request_id: str) -> Response:
        body = _encoded(example, request_id)
        answer = Response(body, example.status, media_type=example.media_type)
        for name, value in example.headers.items():
            if name == "Set-Cookie":
                self._set_cookies(answer)
            elif name == "Location" and self._location is not None:
                answer.headers[name] = self._location.format(example.value["id"])
            else:
                answer.headers[name] = value
        applied = f"code={example.status}"
        if example.name is not None:
            applied += f", example={example.name}"
        answer.headers["Preference-Applied"] = applied  # RFC 7240, section 3
        return answer

    def _set_cookies(self, answer: Response) -> None:
        """Sign a browser in or out with cookies valid now; those of the example have expired."""
        expires = datetime.now(UTC) + _SESSION
        fields = (
            self._cookies.clear()
            if answer.status_code == HTTPStatus.NO_CONTENT
            else self._cookies.set("mock", expires, "mock", expires)
        )
        for field in fields:
            answer.headers.append("Set-Cookie", field)


class MockAPI(CompiledAPI):
    """Compiles each operation of a document into one that answers its examples."""

    def __init__(
        self,
        specification: Any,
        *,
        contract: Mapping[str, Any],
        cookies: SessionCookies,
        max_body_bytes: int,
        **kwargs: Any,
    ) -> None:
        self._mock = partial(
            MockOperation,
            max_body_bytes=max_body_bytes,
            locations=_locations(contract),
            cookies=cookies,
        )
        super().__init__(specification, **kwargs)

    def make_operation(self, operation: AbstractOperation) -> MockOperation:  # type: ignore[override]
        """Compile one operation."""
        return self._mock(operation)


class MockApp(CompiledApp):
    """Connexion's own application, with operations that answer their examples."""

    def __init__(
        self, beside: ASGIApp, *, contract: Mapping[str, Any], cookies: SessionCookies
    ) -> None:
        super().__init__(beside)
        self.api_cls = partial(MockAPI, contract=contract, cookies=cookies)  # type: ignore[assignment]  # only called


def _encoded(example: Example, request_id: str) -> bytes | None:
    if example.media_type is None:
        return None
    if example.media_type == MEDIA_TYPE:  # a problem names the request that it answers
        return orjson.dumps({**example.value, "request_id": request_id})
    if is_json(example.media_type):
        return orjson.dumps(example.value)
    return str(example.value).encode()


def _locations(contract: Mapping[str, Any]) -> Mapping[str, str]:
    """Return where each operation's new object would be found, by its links: a path for its id."""
    base = contract["servers"][0]["url"]
    paths = {
        item["get"]["operationId"]: path
        for path, item in contract["paths"].items()
        if "get" in item
    }
    locations = {}
    for item in contract["paths"].values():
        created = item.get("post", {}).get("responses", {}).get("201", {})
        for link in created.get("links", {}).values():
            bound = link.get("parameters", {})
            path = paths.get(link.get("operationId"), "")
            if list(bound.values()) == ["$response.body#/id"] and path.endswith("}"):
                name = next(iter(bound))
                locations[item["post"]["operationId"]] = base + path.replace(f"{{{name}}}", "{}")
                break
    return locations
