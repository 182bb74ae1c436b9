"""POST /products/import."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import Client

from services.audit import audit
from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product

IMPORT = f"{PRODUCTS}/import"
HEADER = "sku,name,description,price,stock"


def import_csv(client: Client, *lines: str, **query: Any) -> Any:
    text = "".join(f"{line}\r\n" for line in lines)
    return client.post(
        IMPORT, params=query, content=text.encode(), headers={"Content-Type": "text/csv"}
    )


def counts(response: Any) -> tuple[int, ...]:
    assert 200 == response.status_code, response.text
    report = response.json()
    return tuple(report[name] for name in ("created", "updated", "unchanged", "faulty"))


def catalogue(client: Client) -> dict[str, tuple[Any, ...]]:
    return {
        product["sku"]: (
            product["name"],
            product["description"],
            product["price"]["amount"],
            product["stock"],
        )
        for product in client.get(PRODUCTS, params={"limit": 100}).json()["items"]
    }


def test_new_products_are_created_and_existing_products_updated(admin: Client) -> None:
    mug = add_product(admin, "MUG", 1990, stock=10)
    lines = (HEADER, 'MUG,Mug,"Blue,\nround",18.5,7', "LAMP,Lamp,,34,0", "CUP,Cup,,5.00,")

    assert (2, 1, 0, 0) == counts(import_csv(admin, *lines))
    assert {
        "MUG": ("Mug", "Blue,\nround", 1850, 7),
        "LAMP": ("Lamp", "", 3400, 0),
        "CUP": ("Cup", "", 500, 0),
    } == catalogue(admin)
    (last, _) = admin.get(f"{PRODUCTS}/{mug['id']}/stock-movements").json()["items"]
    assert ("ADJUSTMENT", -3, 7, "IMPORTED") == tuple(
        last[name] for name in ("kind", "delta", "stock_after", "reason")
    )
    assert [] == audit()


def test_importing_the_same_file_again_changes_nothing(admin: Client) -> None:
    lines = (HEADER, "MUG,Mug,Blue,19.90,7", "LAMP,Lamp,,34,0")
    import_csv(admin, *lines)
    before = admin.get(PRODUCTS).json()

    assert (0, 0, 2, 0) == counts(import_csv(admin, *lines))
    assert before == admin.get(PRODUCTS).json()


def test_images_are_not_in_the_file_and_stay_unchanged(admin: Client) -> None:
    images = [{"url": "https://images.example.com/mug.jpg", "alt": "A mug"}]
    mug = add_product(admin, "MUG", images=images)

    assert (0, 1, 0, 0) == counts(import_csv(admin, HEADER, "MUG,Red mug,,18.50,7"))

    assert images == admin.get(f"{PRODUCTS}/{mug['id']}").json()["images"]


def test_columns_missing_from_the_file_keep_their_values(admin: Client) -> None:
    add_product(admin, "MUG", 1990, stock=10, name="Mug", description="Blue")

    assert (0, 1, 0, 0) == counts(import_csv(admin, "price,sku,name", "5,MUG,Mug"))
    assert {"MUG": ("Mug", "Blue", 500, 10)} == catalogue(admin)


def test_invalid_lines_are_listed_and_nothing_is_imported(admin: Client) -> None:
    lines = [HEADER, *(f"SKU-{n},Thing {n},,{n}.50,{n}" for n in range(2, 1002))]
    lines[10 - 1] = "sku-10,Thing,,1.50,1"
    lines[500 - 1] = "SKU-500,Thing,,1.505,1"
    lines[999 - 1] = "SKU-999,Thing,,1.50,-1"

    problem = assert_problem(import_csv(admin, *lines), 409, "import_refused")

    assert 3 == problem["faulty"]
    assert [(10, "sku"), (500, "price"), (999, "stock")] == [
        (fault["line"], fault["column"]) for fault in problem["faults"]
    ]
    assert {} == catalogue(admin)


def test_skip_faulty_imports_only_the_valid_lines(admin: Client) -> None:
    response = import_csv(admin, HEADER, "A,A,,1,1", "b,B,,1,1", "C,C,,1,1", skip_faulty="true")

    assert (2, 0, 0, 1) == counts(response)
    assert [3] == [fault["line"] for fault in response.json()["faults"]]
    assert {"A", "C"} == catalogue(admin).keys()


@pytest.mark.parametrize(
    ("bad_line", "message"),
    [
        ('B,"B" is open,,1,1', "check the quotes"),
        ('B,"B,,1,1', "check the quotes"),
        (f"B,{'B' * 65_537},,1,1", "more than 65536 characters"),
        ("," * 262_145, "more than 262144 characters"),
        (",".join(['"' + "B\n" * 30_000 + '"'] * 5), "more than 262144 characters"),
    ],
    ids=["text after a quote", "open quote", "long cell", "many cells", "long cells of lines"],
)
def test_a_file_that_cannot_be_parsed_is_rejected_even_with_skip_faulty(
    admin: Client, bad_line: str, message: str
) -> None:
    response = import_csv(admin, HEADER, "A,A,,1,1", bad_line, "C,C,,1,1", skip_faulty="true")

    (fault,) = assert_problem(response, 409, "import_refused")["faults"]
    assert (3, None) == (fault["line"], fault["column"])
    assert message in fault["message"]
    assert {} == catalogue(admin)


def test_a_header_that_is_too_long_is_reported(admin: Client) -> None:
    (fault,) = assert_problem(import_csv(admin, "," * 262_145), 409, "import_refused")["faults"]

    assert 1 == fault["line"]
    assert "more than 262144 characters" in fault["message"]


def test_the_length_of_each_record_is_counted_by_itself(admin: Client) -> None:
    lines = [f"SKU-{n},Thing,{'d' * 60_000},1,1" for n in range(6)]

    problem = assert_problem(import_csv(admin, HEADER, *lines), 409, "import_refused")

    assert ["description"] * 6 == [fault["column"] for fault in problem["faults"]]


def test_a_dry_run_returns_the_report_and_changes_nothing(admin: Client) -> None:
    add_product(admin, "MUG", 1990, stock=10)
    before = catalogue(admin)

    lines = (HEADER, "MUG,Mug,,1,1", "NEW,New,,1,1", "x,X,,1,1")
    response = import_csv(admin, *lines, dry_run="true", skip_faulty="true")

    assert (1, 1, 0, 1) == counts(response)
    assert response.json()["dry_run"]
    assert before == catalogue(admin)
    assert [] == audit()


def test_a_dry_run_is_refused_if_the_import_would_be(admin: Client) -> None:
    before = catalogue(admin)
    for invalid in ("x,X,,1,1", '"a quote that is never closed'):
        lines = (HEADER, "NEW,New,,1,1", invalid)

        dry = assert_problem(import_csv(admin, *lines, dry_run="true"), 409, "import_refused")
        real = assert_problem(import_csv(admin, *lines), 409, "import_refused")

        assert dry["faults"] == real["faults"]
        assert "Nothing was imported: 1 line is invalid." == dry["detail"] == real["detail"]
    assert before == catalogue(admin)


@pytest.mark.parametrize(
    ("lines", "line", "column"),
    [
        (["sku,name", "A,A"], 1, None),
        (["sku,name,price,colour", "A,A,1,red"], 1, None),
        (["sku,name,price,sku", "A,A,1,A"], 1, None),
        (["sku,name,price", "A,A,1", "A,A"], 3, None),
        (["sku,name,price", "A,A,1", "", 'B,"B'], 4, None),
        (["sku,name,price", 'A,"A\nB",1'], 2, "name"),
        (["sku,name,price", "A,A,1", "A,B,2"], 3, "sku"),
        (["sku,name,price", "A,A,1,5"], 2, None),
        (["sku,name,price", "A,A,19,90"], 2, None),
        (["sku,name,price", "A,A,10000000.01"], 2, "price"),
        (["sku,name,price,stock", "A,A,1,1000000001"], 2, "stock"),
        (["sku,name,price,currency", "A,A,1,USD"], 2, "currency"),
        (["sku,name,price", "A, A,1"], 2, "name"),
    ],
)
def test_an_invalid_line_is_reported_with_its_line_number_and_column(
    admin: Client, lines: list[str], line: int, column: str | None
) -> None:
    (fault, *_) = assert_problem(import_csv(admin, *lines), 409, "import_refused")["faults"]

    assert (line, column) == (fault["line"], fault["column"])


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("mug,Mug,,1,1", "sku", "capital letters and digits"),
        ("MUG, Mug,,1,1", "name", "without leading or trailing spaces"),
        ("MUG,Mug,\a,1,1", "description", "the only control characters"),
        ("MUG,Mug,,1.990 €,1", "price", "with a decimal point, such as `19.90`"),
        ("MUG,Mug,,1,7.0", "stock", "an integer"),
    ],
)
def test_messages_describe_the_rule_in_words_instead_of_a_regular_expression(
    admin: Client, line: str, column: str, message: str
) -> None:
    (fault,) = assert_problem(import_csv(admin, HEADER, line), 409, "import_refused")["faults"]

    assert column == fault["column"]
    assert message in fault["message"]
    assert "^" not in fault["message"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_separator_other_than_a_comma_is_reported(admin: Client, separator: str) -> None:
    lines = (separator.join(line.split(",")) for line in (HEADER, "MUG,Mug,,1,1"))

    (fault,) = assert_problem(import_csv(admin, *lines), 409, "import_refused")["faults"]

    assert (1, None, "header: cells must be separated by commas") == tuple(fault.values())


def test_a_line_with_the_sku_of_an_archived_product_is_an_error(admin: Client) -> None:
    admin.delete(f"{PRODUCTS}/{add_product(admin, 'MUG')['id']}")

    (fault,) = assert_problem(import_csv(admin, HEADER, "MUG,Mug,,1,1"), 409, "import_refused")[
        "faults"
    ]

    assert (2, "sku") == (fault["line"], fault["column"])


def test_a_file_is_utf_8_with_or_without_a_byte_order_mark(admin: Client) -> None:
    def import_bytes(content: bytes) -> Any:
        return admin.post(IMPORT, content=content, headers={"Content-Type": "text/csv"})

    assert 200 == import_bytes(b"\xef\xbb\xbfsku,name,price\nA,K\xc3\xa4se,1").status_code
    lines = [b"sku,name,price", *(b"SKU-%d,Thing,1" % number for number in range(2, 1001))]
    lines[500 - 1], lines[800 - 1] = b"SKU-500,K\xe4se,1", b"SKU-800,Thing,x"
    problem = assert_problem(import_bytes(b"\n".join(lines)), 409, "import_refused")
    assert [(500, "name", "is not UTF-8"), (800, "price")] == [
        tuple(problem["faults"][0].values()),
        tuple(problem["faults"][1].values())[:2],
    ]
    assert_problem(import_bytes("sku,name,price\nA,A,1".encode("utf-16")), 409, "import_refused")
    assert_problem(import_bytes(b"sku,name,price\nA,\0,1"), 409, "import_refused")
    assert_problem(import_bytes(b""), 409, "import_refused")


def test_a_file_larger_than_16_mib_is_413(admin: Client) -> None:
    response = admin.post(
        IMPORT, content=b"x" * ((16 << 20) + 1), headers={"Content-Type": "text/csv"}
    )

    assert 16 << 20 == assert_problem(response, 413, "payload_too_large")["max_bytes"]


def test_only_csv_is_accepted_and_only_from_administrators(
    admin: Client, alice: Client, anonymous: Client
) -> None:
    assert_problem(admin.post(IMPORT, json=[]), 415, "unsupported_media_type")
    assert_problem(import_csv(alice, HEADER), 403, "forbidden")
    assert_problem(import_csv(anonymous, HEADER), 401, "unauthenticated")
