"""The tests of the contract find codes that are undocumented, or documented and never met."""

from __future__ import annotations

import httpx2
import pytest

from orderly.contract.document import load
from orderly.verification.contract import Contract, ErrorCode
from orderly.verification.coverage import Coverage
from orderly.verification.results import Outcome, Result, Results
from tests.support.contract import CONTRACT
from tests.support.contract_requests import EXAMPLES, assert_documented, json_request

SKU_TAKEN = ErrorCode("create_product", "409", "sku_taken")


def coverage_of(codes: list[ErrorCode]) -> Coverage:
    coverage = Coverage(CONTRACT)
    for operation_id, status, code in codes:
        coverage.record_response("a test", operation_id, status, code)
    return coverage


def test_all_documented_codes_are_met() -> None:
    coverage = coverage_of([*CONTRACT.codes()])

    assert ([], []) == (coverage.missing_codes(), coverage.undocumented_codes())


def test_a_documented_code_that_was_never_met_is_found() -> None:
    coverage = coverage_of([code for code in CONTRACT.codes() if code != SKU_TAKEN])

    assert ([SKU_TAKEN], []) == (coverage.missing_codes(), coverage.undocumented_codes())


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode("create_product", "409", "email_taken"),
        # Documented for another status, and by another operation
        ErrorCode("create_product", "422", "sku_taken"),
        ErrorCode("get_product", "409", "sku_taken"),
    ],
)
def test_an_undocumented_code_is_found(code: ErrorCode) -> None:
    coverage = coverage_of([*CONTRACT.codes(), code])

    assert ([], [code]) == (coverage.missing_codes(), coverage.undocumented_codes())


def test_an_error_of_the_server_is_not_counted() -> None:
    unavailable = ErrorCode("get_product", "503", "service_unavailable")

    assert [] == coverage_of([unavailable]).undocumented_codes()
    assert unavailable not in CONTRACT.codes()


@pytest.mark.parametrize(
    ("example", "is_documented"), [("sku_taken", True), ("email_taken", False)]
)
def test_a_response_with_an_undocumented_code_fails_the_test(
    example: str, is_documented: bool
) -> None:
    response = httpx2.Response(
        409,
        json=EXAMPLES[example],
        headers={"Content-Type": "application/problem+json", "X-Request-ID": "1"},
    )

    if is_documented:
        assert_documented(json_request("create_product"), response)
    else:
        with pytest.raises(AssertionError, match="create_product: 409"):
            assert_documented(json_request("create_product"), response)


def results_with_codes(contract: Contract, codes: list[ErrorCode]) -> Results:
    """Return the results of a run that met these codes, and everything else of a contract."""
    coverage = Coverage(contract)
    for operation_id, status in contract.statuses():
        coverage.record_response("a test", operation_id, status, None)
    for link, _ in contract.links():
        coverage.record_link("a test", link)
    for operation_id, status, code in codes:
        coverage.record_response("a test", operation_id, status, code)
    return Results(contract, "http://localhost", 1, coverage)


def messages(results: Results) -> list[str]:
    return [failure.message for failure in results.coverage_failures("coverage")]


def test_a_run_that_met_everything_has_no_failure() -> None:
    assert [] == messages(results_with_codes(CONTRACT, [*CONTRACT.codes()]))


def test_a_code_that_is_documented_for_an_operation_and_never_met_fails_the_run() -> None:
    document = load()
    response = document["paths"]["/products"]["post"]["responses"]["409"]
    while "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    content = response["content"]["application/problem+json"]
    new = {"$ref": "#/components/schemas/UserDeletedProblem"}
    schema = content["schema"]
    content["schema"] = {"oneOf": [*schema.get("oneOf", [schema]), new]}

    results = results_with_codes(Contract(document), [*CONTRACT.codes()])

    assert ["create_product 409 user_deleted is documented, and was never met."] == messages(
        results
    )


def test_a_new_code_without_documentation_fails_the_run() -> None:
    new = ErrorCode("get_product", "404", "product_hidden")

    results = results_with_codes(CONTRACT, [*CONTRACT.codes(), new])

    assert ["get_product 404 product_hidden was met, and is not documented."] == messages(results)


def test_a_code_that_this_deployment_cannot_give_is_named_with_the_reason() -> None:
    codes = [code for code in CONTRACT.codes() if code != SKU_TAKEN]
    results = results_with_codes(CONTRACT, codes)
    results.results.append(
        Result("codes", str(SKU_TAKEN), Outcome.NOT_REACHABLE, 0.0, "It needs a race.")
    )

    assert [] == messages(results)
    assert {"It needs a race.": [str(SKU_TAKEN)]} == results.reasons()
