"""The workflows call operations of the contract, and are served with a page that lists them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin

import pytest
from httpx2 import Client

from orderly.contract.workflows import operation_id, parse, read_workflows, status
from tests.support.contract_requests import OPERATIONS

FILES = read_workflows()
DESCRIPTIONS = {name: parse(content) for name, content in FILES.items()}


def steps(name: str) -> list[dict[str, Any]]:
    return [step for workflow in DESCRIPTIONS[name]["workflows"] for step in workflow["steps"]]


@pytest.mark.parametrize("name", FILES)
def test_each_step_has_a_documented_operation_and_status(name: str) -> None:
    for step in steps(name):
        assert str(status(step)) in OPERATIONS[operation_id(step)]["responses"], step["stepId"]
        assert step["description"].endswith(".")


@pytest.mark.parametrize("name", FILES)
def test_step_ids_are_unique_in_a_file(name: str) -> None:
    ids = [step["stepId"] for step in steps(name)]

    assert len(set(ids)) == len(ids)


def test_a_step_without_a_status_is_refused() -> None:
    with pytest.raises(ValueError, match="step browse names a status"):
        status({"stepId": "browse", "successCriteria": [{"condition": "$statusCode < 300"}]})


@pytest.mark.parametrize("name", FILES)
def test_a_workflow_is_served_next_to_the_document_it_refers_to(
    anonymous: Client, name: str
) -> None:
    path = f"/workflows/{name}"
    response = anonymous.get(path, headers={"Origin": "https://tools.example.com"})

    assert (200, FILES[name]) == (response.status_code, response.content)
    assert "application/yaml" == response.headers["content-type"]
    assert "*" == response.headers["access-control-allow-origin"]
    (source,) = parse(response.content)["sourceDescriptions"]
    assert 200 == anonymous.get(urljoin(path, source["url"])).status_code


def test_the_page_links_to_each_file_and_operation(anonymous: Client) -> None:
    page = anonymous.get("/workflows").text

    assert set(FILES) == set(re.findall(r'href="workflows/([^"]+)"', page))
    called = [operation_id(step) for name in FILES for step in steps(name)]
    assert called == re.findall(r'href="docs#/\w+/(\w+)"', page)
    assert 'href="workflows"' in anonymous.get("/").text
