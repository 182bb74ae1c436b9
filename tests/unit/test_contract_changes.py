"""Which changes of a contract break those who keep to it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tools.contract_diff.changes import compare, version_error

DOCUMENT = """
openapi: 3.0.3
info: {title: Sample, version: 1.2.0}
servers: [{url: /v1}]
security: [{cookie: []}, {bearer: []}]
paths:
  /things:
    get:
      operationId: list_things
      tags: [things]
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 100, default: 20}}
        - {name: sort, in: query, schema: {type: string, enum: [name, size]}}
        - {name: q, in: query, schema: {type: string, maxLength: 50}}
        - {name: tags, in: query, explode: true, schema: {type: array, items: {type: string}}}
      responses:
        '200':
          description: A page.
          headers: {Link: {required: true, schema: {type: string}}}
          content: {application/json: {schema: {$ref: '#/components/schemas/Page'}}}
        '400': {description: Malformed.}
    post:
      operationId: create_thing
      requestBody:
        required: false
        content: {application/json: {schema: {$ref: '#/components/schemas/NewThing'}}}
      responses:
        '201':
          description: Made.
          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}
        '409':
          description: Taken.
          content:
            application/problem+json:
              examples: {taken: {value: {code: taken}}, full: {value: {code: full}}}
  /things/{thing_id}:
    delete:
      operationId: delete_thing
      x-required-role: ADMIN
      security: [{bearer: []}]
      parameters:
        - {name: thing_id, in: path, required: true, schema: {type: string}}
      responses: {'204': {description: Gone.}}
  /things/file:
    post:
      operationId: import_things
      requestBody:
        x-max-bytes: 16000000
        content:
          text/csv:
            schema: {type: string, format: binary}
            x-csv-row: {$ref: '#/components/schemas/Row'}
      responses: {'204': {description: Made.}}
components:
  securitySchemes:
    cookie: {type: apiKey, in: cookie, name: session}
    bearer: {type: http, scheme: bearer}
  schemas:
    NewThing:
      type: object
      additionalProperties: false
      required: [title]
      properties:
        title: {type: string, minLength: 1, maxLength: 40, pattern: '^[a-z]+$'}
        kind: {type: string, enum: [ROUND, SQUARE]}
        remark: {type: string, nullable: true}
        colour: {type: string, maxLength: 20}
        weight: {type: integer, minimum: 0, maximum: 10}
        size: {allOf: [{$ref: '#/components/schemas/Size'}], description: How large.}
        owner: {oneOf: [{$ref: '#/components/schemas/Size'}, {type: string}]}
        labels: {type: object, additionalProperties: {type: string, maxLength: 8}}
        marks: {type: array, maxItems: 5}
        facts: {type: object}
        anything: {}
    Row:
      type: object
      additionalProperties: false
      required: [sku]
      properties: {sku: {type: string, maxLength: 10}, price: {type: string, maxLength: 11}}
    Size: {type: integer, maximum: 7}
    Thing:
      type: object
      additionalProperties: false
      required: [id, name]
      properties:
        id: {type: string, format: uuid}
        name: {type: string, maxLength: 60}
        state: {type: string, enum: [ON, OFF]}
        count: {type: integer, minimum: 0, maximum: 12}
        note: {type: string}
        extra: {}
        seals: {type: object, additionalProperties: {type: string, maxLength: 9}}
    Page:
      type: object
      required: [items]
      properties:
        items: {type: array, maxItems: 99, items: {$ref: '#/components/schemas/Thing'}}
"""
WHOLE_DELETE = DOCUMENT[DOCUMENT.index("  /things/{thing_id}:") : DOCUMENT.index("  /things/file:")]
WHOLE_CONFLICT = DOCUMENT[
    DOCUMENT.index("        '409':") : DOCUMENT.index("  /things/{thing_id}:")
]
FURTHER = "  /more: {get: {operationId: more, responses: {'200': {description: More.}}}}\n"
NEW_THING = "content: {application/json: {schema: {$ref: '#/components/schemas/NewThing'}}}"
PAGE = NEW_THING.replace("NewThing", "Page")
CSV = "content: {text/csv: {schema: {type: string}}}"
Q = "        - {name: q, in: query, schema: {type: string, maxLength: 50}}\n"
BEARER_ALONE = "security: [{bearer: []}]\n      parameters"

# What is done, the text that it takes away, the one that it puts there.
BREAKING = [
    ("a server is gone", "url: /v1", "url: /v2"),
    ("a path is gone", WHOLE_DELETE, ""),
    ("a path parameter is called otherwise", "thing_id, in", "id, in"),
    ("an operation moves to another method", "    delete:", "    post:"),
    ("an operation is called otherwise", "create_thing", "make_thing"),
    (
        "a parameter must be sent that was not",
        "name: q, in: query,",
        "name: q, in: query, required: true,",
    ),
    (
        "a parameter is gone",
        Q,
        "",
    ),
    (
        "a new parameter must be sent",
        "- {name: q,",
        "- {name: p, in: query, required: true, schema: {}}\n        - {name: q,",
    ),
    ("a parameter's upper bound falls", "maximum: 100", "maximum: 50"),
    ("a parameter's lower bound rises", "minimum: 1,", "minimum: 2,"),
    ("a parameter's default is another", "default: 20", "default: 10"),
    ("a parameter loses a value", "enum: [name, size]", "enum: [name]"),
    ("a parameter is spelled otherwise", "explode: true", "explode: false"),
    ("a body must be sent", "required: false", "required: true"),
    (
        "a body has another media type",
        NEW_THING,
        CSV,
    ),
    ("a member must be sent that was not", "required: [title]", "required: [title, kind]"),
    (
        "a new member must be sent",
        "required: [title]\n      properties:",
        "required: [title, more]\n      properties:\n        more: {type: string}",
    ),
    (
        "a member that is sent is refused",
        "        kind: {type: string, enum: [ROUND, SQUARE]}\n",
        "",
    ),
    ("a member that is sent loses a value", "[ROUND, SQUARE]", "[ROUND]"),
    (
        "a member that is sent is newly one of a few",
        "colour: {type: string",
        "colour: {type: string, enum: [RED]",
    ),
    ("a member that is sent may not be null", ", nullable: true", ""),
    ("a member that is sent must be shorter", "maxLength: 40", "maxLength: 30"),
    ("a member that is sent has another pattern", "^[a-z]+$", "^[a-f]+$"),
    ("a member that is sent has another type", "weight: {type: integer", "weight: {type: string"),
    ("a bound falls in a schema beneath allOf", "maximum: 7", "maximum: 6"),
    (
        "an alternative is no longer taken",
        "[{$ref: '#/components/schemas/Size'}, {type: string}]",
        "[{$ref: '#/components/schemas/Size'}]",
    ),
    ("a member of an answer is gone", "        note: {type: string}\n", ""),
    ("a member of an answer may be missing", "required: [id, name]", "required: [id]"),
    ("a member of an answer may be null", "maxLength: 60", "maxLength: 60, nullable: true"),
    ("a member of an answer has a new value", "[ON, OFF]", "[ON, OFF, BROKEN]"),
    ("a member of an answer has another type", "count: {type: integer", "count: {type: string"),
    ("a member of an answer may be larger", "maximum: 12", "maximum: 13"),
    ("a member of an answer loses its format", ", format: uuid", ""),
    ("a list in an answer may be longer", "maxItems: 99", "maxItems: 100"),
    ("a success has another status", "'201'", "'202'"),
    (
        "an answer has another media type",
        PAGE,
        CSV,
    ),
    ("a header is gone", "Link:", "Next:"),
    ("a header may be missing", "Link: {required: true,", "Link: {"),
    (
        "a way to sign in is not taken any more",
        "security: [{cookie: []}, {bearer: []}]",
        "security: [{bearer: []}]",
    ),
    ("a cookie is called otherwise", "name: session", "name: token"),
    ("another role is needed", "x-required-role: ADMIN", "x-required-role: OWNER"),
    ("an operation stands among others", "tags: [things]", "tags: [stuff]"),
    (
        "a redirection may be answered",
        "'400': {description: Malformed.}",
        "'400': {description: Malformed.}\n        '302': {description: Elsewhere.}",
    ),
    (
        "an answer may have another media type, too",
        PAGE,
        PAGE.replace("}}}", "}}, text/csv: {schema: {type: string}}}"),
    ),
    ("a refusal has another code", "{code: taken}", "{code: in_use}"),
    ("a column of a file is refused", ", price: {type: string, maxLength: 11}", ""),
    ("a column of a file must be there", "required: [sku]", "required: [sku, price]"),
    ("a cell of a file must be shorter", "maxLength: 11", "maxLength: 7"),
    ("a file must be smaller", "x-max-bytes: 16000000", "x-max-bytes: 8000000"),
    ("a file must be as small as any body", "        x-max-bytes: 16000000\n", ""),
    ("a member of any name must be shorter", "maxLength: 8}", "maxLength: 7}"),
    ("a member of any name in an answer may be longer", "maxLength: 9}", "maxLength: 10}"),
    (
        "a member of any name is judged that was not",
        "facts: {type: object",
        "facts: {type: object, additionalProperties: {type: string}",
    ),
    (
        "what is in a list that is sent is newly judged",
        "marks: {type: array,",
        "marks: {type: array, items: {type: string},",
    ),
    ("a member that is sent newly has a type", "anything: {}", "anything: {type: string}"),
    ("something that nobody knows is asked", "anything: {}", "anything: {writeOnly: true}"),
]
COMPATIBLE = [
    ("a new path", "components:\n", FURTHER + "components:\n"),
    (
        "an operation is deprecated",
        "operationId: list_things",
        "operationId: list_things\n      deprecated: true",
    ),
    (
        "a new parameter may be sent",
        "- {name: q,",
        "- {name: p, in: query, schema: {}}\n        - {name: q,",
    ),
    ("a parameter's upper bound rises", "maximum: 100", "maximum: 200"),
    ("a parameter gains a value", "enum: [name, size]", "enum: [name, size, age]"),
    ("a member need not be sent", "required: [title]", "required: []"),
    ("a new member may be sent", "kind: {", "more: {type: string}\n        kind: {"),
    ("a member that is sent gains a value", "[ROUND, SQUARE]", "[ROUND, SQUARE, FLAT]"),
    ("a member that is sent may be longer", "maxLength: 40", "maxLength: 50"),
    ("a member that is sent has no pattern any more", ", pattern: '^[a-z]+$'", ""),
    ("a number that is sent need not be whole", "weight: {type: integer", "weight: {type: number"),
    ("a new alternative is taken", "{type: string}]}", "{type: string}, {type: boolean}]}"),
    ("a new member of an answer", "note: {", "more: {type: string}\n        note: {"),
    (
        "a member of an answer is always there",
        "required: [id, name]",
        "required: [id, name, state]",
    ),
    ("a member of an answer loses a value", "[ON, OFF]", "[ON]"),
    ("a member of an answer is at most smaller", "maximum: 12", "maximum: 11"),
    (
        "a new refusal",
        "        '409':",
        "        '422': {description: Spent.}\n        '409':",
    ),
    ("a refusal that comes no more", WHOLE_CONFLICT, ""),
    ("a new header", "headers: {", "headers: {Age: {schema: {type: string}}, "),
    ("a further way to sign in", BEARER_ALONE, BEARER_ALONE.replace("]}]", "]}, {cookie: []}]")),
    (
        "nobody need sign in any more",
        "operationId: list_things",
        "operationId: list_things\n      security: []",
    ),
    ("any role will do", "      x-required-role: ADMIN\n", ""),
    (
        "who has it already need not get it again",
        "'400': {description: Malformed.}",
        "'400': {description: Malformed.}\n        '304': {description: As it was.}",
    ),
    (
        "a refusal has one more code",
        "{taken: {value: {code: taken}}",
        "{shut: {value: {code: shut}}, taken: {value: {code: taken}}",
    ),
    ("a code comes no more", ", full: {value: {code: full}}", ""),
    (
        "a file may have one more column",
        ", price: {type: string, maxLength: 11}",
        ", price: {type: string, maxLength: 11}, more: {type: string}",
    ),
    ("a file may be larger", "x-max-bytes: 16000000", "x-max-bytes: 17000000"),
    ("a member of any name may be longer", "maxLength: 8}", "maxLength: 9, x-is: new}"),
    ("a member of any name in an answer is shorter", "maxLength: 9}", "maxLength: 6}"),
    ("a member of an answer newly has a type", "extra: {}", "extra: {type: string}"),
]
KINDS = [(*one, True) for one in BREAKING] + [(*one, False) for one in COMPATIBLE]


def document(old: str = "", new: str = "") -> dict[str, Any]:
    assert DOCUMENT.count(old) == 1 or not old
    text = DOCUMENT.replace(old, new) if old else DOCUMENT
    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


@pytest.mark.parametrize(
    ("old", "new", "breaks"), [one[1:] for one in KINDS], ids=[one[0] for one in KINDS]
)
def test_a_change_is_known_for_what_it_is(old: str, new: str, breaks: bool) -> None:
    changes = compare(document(), document(old, new))

    assert breaks is any(change.breaking for change in changes)
    assert changes != []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("A page.", "One page of things."),
        ("note: {type: string", "note: {type: string, minLength: 0"),
        ("note: {type: string", "note: {type: string, example: Fragile"),
        ("name: q, in: query,", "name: q, in: query, style: form, explode: true,"),
        (
            "[{$ref: '#/components/schemas/Size'}, {type: string}]",
            "[{type: string}, {$ref: '#/components/schemas/Size'}]",
        ),
        ("headers: {Link:", "headers: {link:"),
        ("tags: [things]", "tags: [things, more]"),
    ],
)
def test_nothing_is_said_of_what_means_the_same(old: str, new: str) -> None:
    assert [] == compare(document(), document(old, new))


def test_a_change_of_a_shared_schema_is_told_once_and_by_its_name() -> None:
    changes = compare(document(), document("maxLength: 60", "maxLength: 61"))

    assert ["BREAKING  Thing in answers/name: maxLength is 61, no longer 60"] == [
        *map(str, changes)
    ]


def test_a_schema_by_another_name_breaks_clients_that_were_generated() -> None:
    renamed = yaml.safe_load(DOCUMENT.replace("NewThing", "FreshThing"))

    assert ["BREAKING  schemas: NewThing is gone, or is called otherwise"] == [
        *map(str, compare(document(), renamed))
    ]


def test_what_many_answers_share_is_told_once() -> None:
    shared = "responses: {'409': {$ref: '#/components/responses/Taken'}, "
    text = (
        DOCUMENT.replace("responses: {", shared)
        + """\
  responses:
    Taken:
      description: Taken.
      content: {application/problem+json: {examples: {first: {value: {code: all_gone}}}}}
"""
    )

    changes = compare(yaml.safe_load(text), yaml.safe_load(text.replace("all_gone", "sold_out")))

    assert 2 == text.count("responses/Taken")
    assert [
        "BREAKING  response Taken: the code all_gone does not come any more, others do",
        "fine      response Taken: the code sold_out may come, too",
    ] == [*map(str, changes)]


def test_the_same_change_breaks_who_reads_and_not_who_sends() -> None:
    changes = compare(
        document(), document("'#/components/schemas/NewThing'", "'#/components/schemas/Thing'")
    )
    assert any(change.breaking for change in changes)

    # An identifier that both directions share.
    shared = DOCUMENT.replace("note: {type: string}", "note: {$ref: '#/components/schemas/Size'}")
    found = compare(
        yaml.safe_load(shared), yaml.safe_load(shared.replace("maximum: 7", "maximum: 8"))
    )

    assert {("Size in answers", True), ("NewThing in requests/size", False)} <= {
        (change.place, change.breaking) for change in found
    }


@pytest.mark.parametrize(
    ("before", "after", "breaks", "complaint"),
    [
        ("1.2.0", "1.2.0", False, None),
        ("1.2.0", "1.3.0", False, None),
        ("1.2.0", "1.3.0", True, "must be 2.0.0"),
        ("1.2.0", "2.0.0", True, None),
        ("0.3.1", "0.3.2", True, "must be 0.4.0"),
        ("0.3.1", "0.4.0", True, None),
        ("0.3.1", "1.0.0", True, None),
        ("1.2.0", "1.1.9", False, "went back"),
    ],
)
def test_the_version_says_whether_something_breaks(
    before: str, after: str, breaks: bool, complaint: str | None
) -> None:
    old = document("1.2.0", before)
    new = document("1.2.0", after)
    if breaks:
        new["paths"]["/things"].pop("post")

    found = version_error(old, new, compare(old, new))

    assert (found is None) is (complaint is None)
    assert complaint is None or complaint in str(found)
