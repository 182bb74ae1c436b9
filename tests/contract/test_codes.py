"""The tests of the contract find codes that are undocumented, or documented and never met."""

from __future__ import annotations

import httpx2
import pytest

from orderly.verification.contract import ErrorCode
from orderly.verification.coverage import Coverage
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
