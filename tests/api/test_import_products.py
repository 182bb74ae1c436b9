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


def send(client: Client, *lines: str, **query: Any) -> Any:
    text = "".join(f"{line}\r\n" for line in lines)
    return client.post(
        IMPORT, params=query, content=text.encode(), headers={"Content-Type": "text/csv"}
    )


def counts(answer: Any) -> tuple[int, ...]:
    assert 200 == answer.status_code, answer.text
    report = answer.json()
    return tuple(report[one] for one in ("created", "updated", "unchanged", "faulty"))


def catalogue(client: Client) -> dict[str, tuple[Any, ...]]:
    return {
        one["sku"]: (one["name"], one["description"], one["price"]["amount"], one["stock"])
        for one in client.get(PRODUCTS, params={"limit": 100}).json()["items"]
    }


def test_new_products_are_made_and_known_ones_changed(admin: Client) -> None:
    mug = add_product(admin, "MUG", 1990, stock=10)
    lines = (HEADER, 'MUG,Mug,"Blue,\nround",18.5,7', "LAMP,Lamp,,34,0", "CUP,Cup,,5.00,")

    assert (2, 1, 0, 0) == counts(send(admin, *lines))
    assert {
        "MUG": ("Mug", "Blue,\nround", 1850, 7),
        "LAMP": ("Lamp", "", 3400, 0),
        "CUP": ("Cup", "", 500, 0),
    } == catalogue(admin)
    (last, _) = admin.get(f"{PRODUCTS}/{mug['id']}/stock-movements").json()["items"]
    assert ("ADJUSTMENT", -3, 7, "IMPORTED") == tuple(
        last[one] for one in ("kind", "delta", "stock_after", "reason")
    )
    assert [] == audit()


def test_importing_twice_changes_nothing_the_second_time(admin: Client) -> None:
    lines = (HEADER, "MUG,Mug,Blue,19.90,7", "LAMP,Lamp,,34,0")
    send(admin, *lines)
    before = admin.get(PRODUCTS).json()

    assert (0, 0, 2, 0) == counts(send(admin, *lines))
    assert before == admin.get(PRODUCTS).json()


def test_what_a_file_does_not_say_stays_as_it_is(admin: Client) -> None:
    add_product(admin, "MUG", 1990, stock=10, name="Mug", description="Blue")

    assert (0, 1, 0, 0) == counts(send(admin, "price,sku,name", "5,MUG,Mug"))
    assert {"MUG": ("Mug", "Blue", 500, 10)} == catalogue(admin)


def test_three_bad_lines_are_named_and_nothing_changes(admin: Client) -> None:
    lines = [HEADER, *(f"SKU-{n},Thing {n},,{n}.50,{n}" for n in range(2, 1002))]
    lines[10 - 1] = "sku-10,Thing,,1.50,1"
    lines[500 - 1] = "SKU-500,Thing,,1.505,1"
    lines[999 - 1] = "SKU-999,Thing,,1.50,-1"

    refused = assert_problem(send(admin, *lines), 409, "import_refused")

    assert 3 == refused["faulty"]
    assert [(10, "sku"), (500, "price"), (999, "stock")] == [
        (fault["line"], fault["column"]) for fault in refused["faults"]
    ]
    assert {} == catalogue(admin)


def test_the_good_lines_can_be_taken_alone(admin: Client) -> None:
    answer = send(admin, HEADER, "A,A,,1,1", "b,B,,1,1", "C,C,,1,1", skip_faulty="true")

    assert (2, 0, 0, 1) == counts(answer)
    assert [3] == [fault["line"] for fault in answer.json()["faults"]]
    assert {"A", "C"} == catalogue(admin).keys()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ('B,"B" is open,,1,1', "check the quotes"),
        ('B,"B,,1,1', "check the quotes"),
        (f"B,{'B' * 65_537},,1,1", "more than 65536 characters"),
    ],
)
def test_a_file_that_cannot_be_read_to_its_end_is_not_taken_in_part(
    admin: Client, bad: str, says: str
) -> None:
    answer = send(admin, HEADER, "A,A,,1,1", bad, "C,C,,1,1", skip_faulty="true")

    (fault,) = assert_problem(answer, 409, "import_refused")["faults"]
    assert (3, None) == (fault["line"], fault["column"])
    assert says in fault["message"]
    assert {} == catalogue(admin)


def test_a_dry_run_tells_and_changes_nothing(admin: Client) -> None:
    add_product(admin, "MUG", 1990, stock=10)
    before = catalogue(admin)

    answer = send(admin, HEADER, "MUG,Mug,,1,1", "NEW,New,,1,1", "x,X,,1,1", dry_run="true")

    assert (1, 1, 0, 1) == counts(answer)
    assert answer.json()["dry_run"]
    assert before == catalogue(admin)
    assert [] == audit()


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
def test_a_faulty_line_is_told_by_its_number_and_column(
    admin: Client, lines: list[str], line: int, column: str | None
) -> None:
    (fault, *_) = assert_problem(send(admin, *lines), 409, "import_refused")["faults"]

    assert (line, column) == (fault["line"], fault["column"])


@pytest.mark.parametrize(
    ("line", "column", "says"),
    [
        ("mug,Mug,,1,1", "sku", "capital letters, digits"),
        ("MUG, Mug,,1,1", "name", "without blanks at either end"),
        ("MUG,Mug,\a,1,1", "description", "the only control characters"),
        ("MUG,Mug,,1.990 €,1", "price", "with a decimal point, such as `19.90`"),
        ("MUG,Mug,,1,7.0", "stock", "a whole number"),
    ],
)
def test_the_reason_is_in_the_words_of_the_contract_not_a_pattern(
    admin: Client, line: str, column: str, says: str
) -> None:
    (fault,) = assert_problem(send(admin, HEADER, line), 409, "import_refused")["faults"]

    assert column == fault["column"]
    assert says in fault["message"]
    assert "^" not in fault["message"]


@pytest.mark.parametrize("between", [";", "\t"])
def test_cells_that_no_commas_separate_are_told_as_such(admin: Client, between: str) -> None:
    lines = (between.join(line.split(",")) for line in (HEADER, "MUG,Mug,,1,1"))

    (fault,) = assert_problem(send(admin, *lines), 409, "import_refused")["faults"]

    assert (1, None, "header: cells must be separated by commas") == tuple(fault.values())


def test_a_line_of_an_archived_product_is_faulty(admin: Client) -> None:
    admin.delete(f"{PRODUCTS}/{add_product(admin, 'MUG')['id']}")

    (fault,) = assert_problem(send(admin, HEADER, "MUG,Mug,,1,1"), 409, "import_refused")["faults"]

    assert (2, "sku") == (fault["line"], fault["column"])


def test_a_file_is_utf_8_with_or_without_a_byte_order_mark(admin: Client) -> None:
    def sent(content: bytes) -> Any:
        return admin.post(IMPORT, content=content, headers={"Content-Type": "text/csv"})

    assert 200 == sent(b"\xef\xbb\xbfsku,name,price\nA,K\xc3\xa4se,1").status_code
    lines = [b"sku,name,price", *(b"SKU-%d,Thing,1" % number for number in range(2, 1001))]
    lines[500 - 1], lines[800 - 1] = b"SKU-500,K\xe4se,1", b"SKU-800,Thing,x"
    refused = assert_problem(sent(b"\n".join(lines)), 409, "import_refused")
    assert [(500, "name", "is not UTF-8"), (800, "price")] == [
        tuple(refused["faults"][0].values()),
        tuple(refused["faults"][1].values())[:2],
    ]
    assert_problem(sent("sku,name,price\nA,A,1".encode("utf-16")), 409, "import_refused")
    assert_problem(sent(b"sku,name,price\nA,\0,1"), 409, "import_refused")
    assert_problem(sent(b""), 409, "import_refused")


def test_it_is_bounded(admin: Client) -> None:
    answer = admin.post(
        IMPORT, content=b"x" * ((16 << 20) + 1), headers={"Content-Type": "text/csv"}
    )

    assert 16 << 20 == assert_problem(answer, 413, "payload_too_large")["max_bytes"]


def test_it_takes_csv_alone_and_is_for_administrators(
    admin: Client, alice: Client, anonymous: Client
) -> None:
    assert_problem(admin.post(IMPORT, json=[]), 415, "unsupported_media_type")
    assert_problem(send(alice, HEADER), 403, "forbidden")
    assert_problem(send(anonymous, HEADER), 401, "unauthenticated")
