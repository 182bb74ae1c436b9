"""Routing: a path and method lead to an operation, or to 404 or 405."""

from __future__ import annotations

import pytest

from orderly.contract.routing import RouteTree
from orderly.http.problems import Problem


@pytest.fixture
def tree() -> RouteTree:
    tree = RouteTree()
    tree.add("get", "/products", "list")
    tree.add("post", "/products", "create")
    tree.add("get", "/products/{product_id}", "get")
    tree.add("delete", "/products/{product_id}", "archive")
    tree.add("get", "/products/export", "export")
    tree.add("get", "/orders/{order_id}/events/{event_id}", "event")
    return tree


def test_a_path_leads_to_its_operation_with_the_path_parameters(tree: RouteTree) -> None:
    assert ("event", {"order_id": "1", "event_id": "a b"}) == tree.find(
        "GET", "/orders/1/events/a b"
    )


def test_a_literal_segment_takes_precedence_over_a_parameter(tree: RouteTree) -> None:
    assert ("export", {}) == tree.find("GET", "/products/export")


@pytest.mark.parametrize(
    "path",
    ["/products/", "/", "//", "/product", "/products//", "/orders/1/events", "/products/1/2"],
)
def test_any_other_path_is_404(tree: RouteTree, path: str) -> None:
    with pytest.raises(Problem) as caught:
        tree.find("GET", path)
    assert 404 == caught.value.status


@pytest.mark.parametrize("method", ["PUT", "HEAD", "OPTIONS", "get"])
def test_another_method_is_405_with_the_methods_of_the_path(tree: RouteTree, method: str) -> None:
    with pytest.raises(Problem) as caught:
        tree.find(method, "/products/1")
    assert (405, {"Allow": "DELETE, GET"}) == (caught.value.status, caught.value.headers)
