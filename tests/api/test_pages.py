"""Pages and documents that are served in addition to the API."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar
from urllib.parse import urljoin

import pytest
import yaml
from httpx2 import Client

from orderly.http.problems import PROBLEM_TYPES
from orderly.http.readiness import Readiness
from orderly.pages.routes import page_router
from tests.support.problems import assert_problem


class _StringTimes(yaml.SafeLoader):
    """Loads timestamps as text, as JSON does."""

    yaml_implicit_resolvers: ClassVar = {
        first: [resolver for resolver in resolvers if resolver[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def test_the_health_endpoints_return_ok(anonymous: Client) -> None:
    for path in ("/health/live", "/health/ready"):
        response = anonymous.get(path)
        assert (200, {"status": "ok"}) == (response.status_code, response.json())


def test_the_document_is_served_as_one_file_in_json_and_in_yaml(anonymous: Client) -> None:
    document = anonymous.get("/openapi.json").json()

    assert document == yaml.load(anonymous.get("/openapi.yaml").text, _StringTimes)
    assert "Product" in document["components"]["schemas"]
    assert not re.search(r'"\$ref": ?"[^#]', anonymous.get("/openapi.json").text)
    assert "x-openapi-router-controller" not in anonymous.get("/openapi.json").text


def test_if_none_match_with_the_etag_of_the_document_is_304(anonymous: Client) -> None:
    etag = anonymous.get("/openapi.json").headers["etag"]

    assert 304 == anonymous.get("/openapi.json", headers={"If-None-Match": etag}).status_code


def test_the_docs_page_loads_only_files_from_this_server(anonymous: Client) -> None:
    page = anonymous.get("/docs").text

    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert addresses
    for address in addresses:
        assert "//" not in address
        assert 200 == anonymous.get(f"/{address}").status_code


def test_the_landing_page_links_to_every_page_and_operation(anonymous: Client) -> None:
    page = anonymous.get("/").text
    document = anonymous.get("/openapi.json").json()

    for path in (
        "docs",
        "openapi.json",
        "openapi.yaml",
        "changelog",
        "problems",
        "workflows",
        "health/ready",
    ):
        assert f'href="{path}"' in page
    for address in set(re.findall(r'(?:src|href)="([^"#]+)', page)):
        assert "//" not in address
        assert 200 == anonymous.get(f"/{address}").status_code
    for path, item in document["paths"].items():
        for operation in item.values() if path else ():
            if isinstance(operation, dict):
                (tag,) = operation["tags"]
                assert f'href="docs#/{tag}/{operation["operationId"]}"' in page
    assert "<script" not in page
    assert anonymous.get("/docs/").headers["location"].endswith("/docs")


def test_the_changelog_page_renders_changelog_md(anonymous: Client, repository: Path) -> None:
    page = anonymous.get("/changelog").text

    text = (repository / "CHANGELOG.md").read_text()
    unreleased, *released = re.findall(r"^## \[([^]]+)\]", text, re.MULTILINE)
    assert "Unreleased" == unreleased
    assert released == re.findall(r"<h2>([^ <]+)", page)
    assert "<code>issue_token</code>" in page
    assert "](" not in page
    assert "**" not in page


@pytest.mark.parametrize("path", ["/nowhere", "/docs-old/index.html", "/a/b/c/d"])
def test_a_browser_gets_a_page_for_an_unknown_path(anonymous: Client, path: str) -> None:
    accept = "text/html,application/xhtml+xml,*/*;q=0.8"
    response = anonymous.get(path, headers={"Accept": accept})

    assert (404, "text/html; charset=utf-8") == (
        response.status_code,
        response.headers["content-type"],
    )
    links = re.findall(r'(?:src|href)="([^"#]+)', response.text)
    assert 4 == len(links)
    for link in links:
        assert 200 == anonymous.get(urljoin(path, link)).status_code


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
def test_other_clients_get_a_problem_document_for_an_unknown_path(
    anonymous: Client, accept: str
) -> None:
    assert_problem(anonymous.get("/nowhere", headers={"Accept": accept}), 404, "not_found")


def test_an_unknown_path_of_the_api_is_a_problem_for_browsers_too(anonymous: Client) -> None:
    response = anonymous.get("/api/v1/nowhere", headers={"Accept": "text/html"})

    assert_problem(response, 404, "not_found")


def test_the_storefront_is_served_only_if_it_is_enabled(anonymous: Client) -> None:
    assert 200 == anonymous.get("/examples/storefront/").status_code
    assert anonymous.get("/examples/storefront").headers["location"].endswith("/storefront/")
    without = page_router(anonymous.get("/openapi.json").json(), readiness=Readiness()).routes
    assert not [route for route in without if getattr(route, "path", "").startswith("/examples")]


def test_the_problems_page_has_an_entry_for_every_problem_type(anonymous: Client) -> None:
    page = anonymous.get("/problems").text

    assert set(PROBLEM_TYPES) == set(re.findall(r'id="(\w+)"', page))
    assert "`" not in page
    assert "<code>available</code>" in page
