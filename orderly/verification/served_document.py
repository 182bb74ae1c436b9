"""The document that a deployment serves, compared with that of the installed package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import httpx2

from handlers.cookies import ACCESS_COOKIE, SessionCookies
from orderly.contract import document
from orderly.contract.references import escape
from orderly.verification.contract import Contract

_TIMEOUT_SECONDS: Final = 15.0
_MAX_DIFFERENCES: Final = 20
_TITLE: Final = "Orderly"


class CannotVerify(Exception):  # noqa: N818  # its message is printed as it is
    """The deployment cannot be verified. The message says why, and what to do."""


class Deployment(NamedTuple):
    """A deployment that serves the contract of the installed package."""

    contract: Contract
    api_url: str
    is_test_system: bool


def fetch(url: str) -> Deployment:
    """Read the document of the deployment at a URL, and compare it with that of this package.

    Raises:
        CannotVerify: nothing responds there, it is not Orderly, or its contract is another one.
    """
    url = url.rstrip("/")
    served = _get_document(url)
    info = served.get("info", {})
    contract = _installed_like(served)
    differences = list(_differences(_comparable(contract), _comparable(served)))
    if differences:
        raise CannotVerify(_describe(differences, info.get("version"), contract))
    server = served["servers"][0]
    # The server's URL is a path, or that of a proxy.
    api_url = str(httpx2.URL(f"{url}/").join(server["url"]))
    full = Contract(contract)
    return Deployment(full, api_url, server.get(document.TEST_SYSTEM) is True)


def _get_document(url: str) -> dict[str, Any]:
    try:
        response = httpx2.get(
            f"{url}/openapi.json", timeout=_TIMEOUT_SECONDS, follow_redirects=True
        )
    except httpx2.InvalidURL as error:
        raise CannotVerify(f"{url} is not a URL: {error}.") from error
    except httpx2.UnsupportedProtocol as error:
        raise CannotVerify(f"{url} is not a URL that begins with http:// or https://.") from error
    except httpx2.TransportError as error:
        raise CannotVerify(
            f"Nothing responds at {url}: {error or type(error).__name__}. Is the server running?"
        ) from error
    try:
        served = response.json()
        is_orderly = response.is_success and served["info"]["title"] == _TITLE
    except (ValueError, KeyError, TypeError):
        is_orderly = False
    if not is_orderly:
        raise CannotVerify(
            f"{url} is not Orderly: {url}/openapi.json is not its document"
            f" (status {response.status_code}). Give the URL without a path, such as"
            " http://localhost:8000."
        )
    return dict(served)


def _installed_like(served: dict[str, Any]) -> dict[str, Any]:
    """Return the installed document with the currency and the cookie names of a served one."""
    try:
        components = served["components"]
        currency = components["schemas"]["Currency"]["enum"][0]
        cookie = components["securitySchemes"]["cookieAuth"]["name"]
    except (KeyError, IndexError, TypeError):
        return document.load()  # the comparison names what is missing
    names = SessionCookies(secure=cookie != ACCESS_COOKIE).names()
    return document.load(currency, cookie_names=names)


def _comparable(content: dict[str, Any]) -> dict[str, Any]:
    """Return a published document without what depends on the settings of a deployment."""
    published = document.published(content)
    published["servers"] = [server.get("url") for server in published.get("servers", [])]
    return published


def _differences(installed: Any, served: Any, pointer: str = "") -> Iterator[str]:
    """Yield the JSON pointer of each difference, with what it is."""
    if isinstance(installed, dict) and isinstance(served, dict):
        for key in {**installed, **served}:
            place = f"{pointer}/{escape(str(key))}"
            if key not in served:
                yield f"{place}: not in the served document"
            elif key not in installed:
                yield f"{place}: only in the served document"
            else:
                yield from _differences(installed[key], served[key], place)
    elif isinstance(installed, list) and isinstance(served, list):
        if len(installed) != len(served):
            yield f"{pointer}: {len(served)} items instead of {len(installed)}"
        else:
            for index, (one, other) in enumerate(zip(installed, served, strict=True)):
                yield from _differences(one, other, f"{pointer}/{index}")
    elif installed != served:
        yield f"{pointer}: {_short(served)} instead of {_short(installed)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004


def _describe(differences: list[str], served_version: Any, contract: dict[str, Any]) -> str:
    version = contract["info"]["version"]
    lines = [
        f"The deployment serves another contract: version {served_version}, and this package has"
        f" version {version}. Install the version of orderly-api that the deployment runs.",
        *(f"  {line}" for line in differences[:_MAX_DIFFERENCES]),
    ]
    if len(differences) > _MAX_DIFFERENCES:
        lines.append(f"  and {len(differences) - _MAX_DIFFERENCES} more differences")
    return "\n".join(lines)
