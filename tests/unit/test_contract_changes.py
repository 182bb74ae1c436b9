"""The contract comparison knows which changes break clients."""

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
          description: Created.
          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}
        '409':
          description: Taken.
          content:
            application/problem+json:
              schema:
                oneOf:
                  - $ref: '#/components/schemas/Taken'
                  - $ref: '#/components/schemas/Full'
  /things/{thing_id}:
    delete:
      operationId: delete_thing
      x-required-role: ADMIN
      security: [{bearer: []}]
      parameters:
        - {name: thing_id, in: path, required: true, schema: {type: string}}
      responses: {'204': {description: Deleted.}}
  /things/file:
    post:
      operationId: import_things
      requestBody:
        x-max-bytes: 16000000
        content:
          text/csv:
            schema: {type: string, format: binary}
            x-csv-row: {$ref: '#/components/schemas/Row'}
      responses: {'204': {description: Created.}}
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
    Taken: {type: object, required: [code], properties: {code: {type: string, enum: [taken]}}}
    Full: {type: object, required: [code], properties: {code: {type: string, enum: [full]}}}
    Shut: {type: object, required: [code], properties: {code: {type: string, enum: [shut]}}}
    Thing:
      type: object
      additionalProperties: false
      required: [id, name]
      properties:
        id: {type: string, format: uuid}
        name: {type: string, maxLength: 60}
        state: {type: string, enum: [ON, OFF]}
        mood: {type: string, x-extensible-enum: [GLAD, SAD]}
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
DELETE_PATH = DOCUMENT[DOCUMENT.index("  /things/{thing_id}:") : DOCUMENT.index("  /things/file:")]
CONFLICT_RESPONSE = DOCUMENT[
    DOCUMENT.index("        '409':") : DOCUMENT.index("  /things/{thing_id}:")
]
FULL_OR_TAKEN = DOCUMENT[
    DOCUMENT.index("              schema:\n") : DOCUMENT.index("  /things/{thing_id}:")
]
THING = DOCUMENT[
    DOCUMENT.index("    Thing:") : DOCUMENT.index("        name: {type: string, maxLength: 60")
]
NEW_PATH = "  /more: {get: {operationId: more, responses: {'200': {description: More.}}}}\n"
NEW_THING = "content: {application/json: {schema: {$ref: '#/components/schemas/NewThing'}}}"
PAGE = NEW_THING.replace("NewThing", "Page")
CSV = "content: {text/csv: {schema: {type: string}}}"
Q_PARAMETER = "        - {name: q, in: query, schema: {type: string, maxLength: 50}}\n"
BEARER_ONLY = "security: [{bearer: []}]\n      parameters"

# The change, the text that it replaces in the document, and the new text.
BREAKING = [
    ("a server is removed", "url: /v1", "url: /v2"),
    ("a path is removed", DELETE_PATH, ""),
    ("a path parameter is renamed", "thing_id, in", "id, in"),
    ("an operation moves to another method", "    delete:", "    post:"),
    ("an operationId changes", "create_thing", "make_thing"),
    (
        "a parameter becomes required",
        "name: q, in: query,",
        "name: q, in: query, required: true,",
    ),
    (
        "a parameter is removed",
        Q_PARAMETER,
        "",
    ),
    (
        "a required parameter is added",
        "- {name: q,",
        "- {name: p, in: query, required: true, schema: {}}\n        - {name: q,",
    ),
    ("the maximum of a parameter decreases", "maximum: 100", "maximum: 50"),
    ("the minimum of a parameter increases", "minimum: 1,", "minimum: 2,"),
    ("the default of a parameter changes", "default: 20", "default: 10"),
    ("an enum value of a parameter is removed", "enum: [name, size]", "enum: [name]"),
    ("the serialization of a parameter changes", "explode: true", "explode: false"),
    ("a request body becomes required", "required: false", "required: true"),
    (
        "the media type of a request body changes",
        NEW_THING,
        CSV,
    ),
    ("a request property becomes required", "required: [title]", "required: [title, kind]"),
    (
        "a required request property is added",
        "required: [title]\n      properties:",
        "required: [title, more]\n      properties:\n        more: {type: string}",
    ),
    (
        "a request property is removed",
        "        kind: {type: string, enum: [ROUND, SQUARE]}\n",
        "",
    ),
    ("an enum value of a request property is removed", "[ROUND, SQUARE]", "[ROUND]"),
    (
        "an enum is added to a request property",
        "colour: {type: string",
        "colour: {type: string, enum: [RED]",
    ),
    ("a request property can no longer be null", ", nullable: true", ""),
    ("the maxLength of a request property decreases", "maxLength: 40", "maxLength: 30"),
    ("the pattern of a request property changes", "^[a-z]+$", "^[a-f]+$"),
    ("the type of a request property changes", "weight: {type: integer", "weight: {type: string"),
    ("a maximum inside allOf decreases", "maximum: 7", "maximum: 6"),
    (
        "an alternative of a request property is removed",
        "[{$ref: '#/components/schemas/Size'}, {type: string}]",
        "[{$ref: '#/components/schemas/Size'}]",
    ),
    ("a response property is removed", "        note: {type: string}\n", ""),
    ("a response property becomes optional", "required: [id, name]", "required: [id]"),
    ("a response property may be null", "maxLength: 60", "maxLength: 60, nullable: true"),
    ("an enum value of a response property is added", "[ON, OFF]", "[ON, OFF, BROKEN]"),
    ("a known value of a response property is removed", "[GLAD, SAD]", "[GLAD]"),
    ("a known value of a response property is renamed", "[GLAD, SAD]", "[GLAD, SORRY]"),
    ("an enum of a response property becomes extensible", "enum: [ON", "x-extensible-enum: [ON"),
    ("a response property no longer lists its values", ", x-extensible-enum: [GLAD, SAD]", ""),
    ("the type of a response property changes", "count: {type: integer", "count: {type: string"),
    ("the maximum of a response property increases", "maximum: 12", "maximum: 13"),
    ("the format of a response property is removed", ", format: uuid", ""),
    ("the maxItems of a response property increases", "maxItems: 99", "maxItems: 100"),
    ("a success status changes", "'201'", "'202'"),
    (
        "the media type of a response changes",
        PAGE,
        CSV,
    ),
    ("a response header is removed", "Link:", "Next:"),
    ("a response header becomes optional", "Link: {required: true,", "Link: {"),
    (
        "a security scheme is no longer accepted",
        "security: [{cookie: []}, {bearer: []}]",
        "security: [{bearer: []}]",
    ),
    ("a cookie is renamed", "name: session", "name: token"),
    ("another role is required", "x-required-role: ADMIN", "x-required-role: OWNER"),
    ("the first tag changes", "tags: [things]", "tags: [stuff]"),
    (
        "a redirect status is added",
        "'400': {description: Malformed.}",
        "'400': {description: Malformed.}\n        '302': {description: Found.}",
    ),
    (
        "a media type of a response is added",
        PAGE,
        PAGE.replace("}}}", "}}, text/csv: {schema: {type: string}}}"),
    ),
    ("an error code is replaced by another", "enum: [taken]", "enum: [in_use]"),
    (
        "an error code is added",
        "                  - $ref: '#/components/schemas/Full'\n",
        "                  - $ref: '#/components/schemas/Full'\n"
        "                  - $ref: '#/components/schemas/Shut'\n",
    ),
    ("a CSV column is removed", ", price: {type: string, maxLength: 11}", ""),
    ("a CSV column becomes required", "required: [sku]", "required: [sku, price]"),
    ("the maxLength of a CSV column decreases", "maxLength: 11", "maxLength: 7"),
    ("the maximum size of a file decreases", "x-max-bytes: 16000000", "x-max-bytes: 8000000"),
    (
        "the maximum size of a file is removed, so the default applies",
        "        x-max-bytes: 16000000\n",
        "",
    ),
    ("the maxLength of unlisted request properties decreases", "maxLength: 8}", "maxLength: 7}"),
    ("the maxLength of unlisted response properties increases", "maxLength: 9}", "maxLength: 10}"),
    (
        "a schema of unlisted request properties is added",
        "facts: {type: object",
        "facts: {type: object, additionalProperties: {type: string}",
    ),
    (
        "a schema of request items is added",
        "marks: {type: array,",
        "marks: {type: array, items: {type: string},",
    ),
    ("a type is added to a request property", "anything: {}", "anything: {type: string}"),
    ("an unknown keyword is added", "anything: {}", "anything: {writeOnly: true}"),
]
COMPATIBLE = [
    ("a path is added", "components:\n", NEW_PATH + "components:\n"),
    (
        "an operation is deprecated",
        "operationId: list_things",
        "operationId: list_things\n      deprecated: true",
    ),
    (
        "an optional parameter is added",
        "- {name: q,",
        "- {name: p, in: query, schema: {}}\n        - {name: q,",
    ),
    ("the maximum of a parameter increases", "maximum: 100", "maximum: 200"),
    ("an enum value of a parameter is added", "enum: [name, size]", "enum: [name, size, age]"),
    ("a request property becomes optional", "required: [title]", "required: []"),
    ("an optional request property is added", "kind: {", "more: {type: string}\n        kind: {"),
    ("an enum value of a request property is added", "[ROUND, SQUARE]", "[ROUND, SQUARE, FLAT]"),
    ("the maxLength of a request property increases", "maxLength: 40", "maxLength: 50"),
    ("the pattern of a request property is removed", ", pattern: '^[a-z]+$'", ""),
    (
        "an integer request property becomes a number",
        "weight: {type: integer",
        "weight: {type: number",
    ),
    (
        "an alternative of a request property is added",
        "{type: string}]}",
        "{type: string}, {type: boolean}]}",
    ),
    ("a response property is added", "note: {", "more: {type: string}\n        note: {"),
    (
        "a response property becomes required",
        "required: [id, name]",
        "required: [id, name, state]",
    ),
    ("an enum value of a response property is removed", "[ON, OFF]", "[ON]"),
    ("a known value of a response property is added", "[GLAD, SAD]", "[GLAD, SAD, CALM]"),
    (
        "a response property lists its known values",
        "note: {type: string}",
        "note: {type: string, x-extensible-enum: [YES, NO]}",
    ),
    (
        "an extensible enum of a response property is closed",
        "x-extensible-enum: [GLAD",
        "enum: [GLAD",
    ),
    (
        "a response allows unknown properties",
        THING,
        THING.replace("      additionalProperties: false\n", ""),
    ),
    ("the maximum of a response property decreases", "maximum: 12", "maximum: 11"),
    (
        "an error status is added",
        "        '409':",
        "        '422': {description: Unprocessable.}\n        '409':",
    ),
    ("an error status is removed", CONFLICT_RESPONSE, ""),
    ("a response header is added", "headers: {", "headers: {Age: {schema: {type: string}}, "),
    (
        "another security scheme is accepted",
        BEARER_ONLY,
        BEARER_ONLY.replace("]}]", "]}, {cookie: []}]"),
    ),
    (
        "credentials are no longer required",
        "operationId: list_things",
        "operationId: list_things\n      security: []",
    ),
    ("a role is no longer required", "      x-required-role: ADMIN\n", ""),
    (
        "304 Not Modified is added",
        "'400': {description: Malformed.}",
        "'400': {description: Malformed.}\n        '304': {description: Not modified.}",
    ),
    (
        "an error code is removed",
        "                  - $ref: '#/components/schemas/Full'\n",
        "",
    ),
    (
        "one of two error codes is left",
        FULL_OR_TAKEN,
        "              schema: {$ref: '#/components/schemas/Taken'}\n",
    ),
    (
        "an optional CSV column is added",
        ", price: {type: string, maxLength: 11}",
        ", price: {type: string, maxLength: 11}, more: {type: string}",
    ),
    ("the maximum size of a file increases", "x-max-bytes: 16000000", "x-max-bytes: 17000000"),
    (
        "the maxLength of unlisted request properties increases",
        "maxLength: 8}",
        "maxLength: 9, x-is: new}",
    ),
    ("the maxLength of unlisted response properties decreases", "maxLength: 9}", "maxLength: 6}"),
    ("a type is added to a response property", "extra: {}", "extra: {type: string}"),
]
CASES = [
    pytest.param(old, new, breaking, id=name)
    for cases, breaking in ((BREAKING, True), (COMPATIBLE, False))
    for name, old, new in cases
]


def document(old: str = "", new: str = "") -> dict[str, Any]:
    """Parse the document, with one text in it replaced."""
    assert DOCUMENT.count(old) == 1 or not old
    text = DOCUMENT.replace(old, new) if old else DOCUMENT
    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


@pytest.mark.parametrize(("old", "new", "breaking"), CASES)
def test_a_change_is_classified_as_breaking_or_compatible(
    old: str, new: str, breaking: bool
) -> None:
    changes = compare(document(), document(old, new))

    assert changes != []
    assert breaking is any(change.breaking for change in changes)


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
        (PAGE, PAGE.replace("application/json", "application/json; charset=utf-8")),
        (
            "              schema:\n                oneOf:",
            "              schema:\n"
            "                discriminator: {propertyName: code}\n"
            "                oneOf:",
        ),
        ("tags: [things]", "tags: [things, more]"),
    ],
)
def test_a_difference_without_a_meaning_is_no_change(old: str, new: str) -> None:
    assert [] == compare(document(), document(old, new))


def test_a_change_of_a_shared_schema_is_listed_once_under_its_name() -> None:
    changes = compare(document(), document("maxLength: 60", "maxLength: 61"))

    assert ["BREAKING    Thing in responses/name: maxLength changed from 60 to 61"] == [
        *map(str, changes)
    ]


def test_renaming_a_schema_breaks_generated_clients() -> None:
    renamed = yaml.safe_load(DOCUMENT.replace("NewThing", "CreateThing"))

    assert ["BREAKING    schemas: NewThing removed or renamed"] == [
        *map(str, compare(document(), renamed))
    ]


def test_a_change_of_a_shared_response_is_listed_once() -> None:
    shared = "responses: {'409': {$ref: '#/components/responses/Taken'}, "
    text = (
        DOCUMENT.replace("responses: {", shared)
        + """\
  responses:
    Taken:
      description: Taken.
      content:
        application/problem+json:
          schema: {type: object, properties: {code: {type: string, enum: [all_gone]}}}
"""
    )

    changes = compare(yaml.safe_load(text), yaml.safe_load(text.replace("all_gone", "sold_out")))

    assert 2 == text.count("responses/Taken")
    assert [
        "BREAKING    response Taken application/problem+json/code: enum value 'sold_out' added",
        "compatible  response Taken application/problem+json/code: enum value 'all_gone' removed",
    ] == [*map(str, changes)]


def test_a_reference_to_another_schema_is_compared_by_content() -> None:
    changes = compare(
        document(), document("'#/components/schemas/NewThing'", "'#/components/schemas/Thing'")
    )

    assert any(change.breaking for change in changes)


def test_a_looser_schema_breaks_clients_that_read_it_but_not_clients_that_send_it() -> None:
    shared = DOCUMENT.replace("note: {type: string}", "note: {$ref: '#/components/schemas/Size'}")
    changes = compare(
        yaml.safe_load(shared), yaml.safe_load(shared.replace("maximum: 7", "maximum: 8"))
    )

    assert {("Size in responses", True), ("NewThing in requests/size", False)} <= {
        (change.location, change.breaking) for change in changes
    }


@pytest.mark.parametrize(
    ("before", "after", "breaking", "message"),
    [
        ("1.2.0", "1.2.0", False, None),
        ("1.2.0", "1.3.0", False, None),
        ("1.2.0", "1.3.0", True, "at least 2.0.0"),
        ("1.2.0", "2.0.0", True, None),
        ("0.3.1", "0.3.2", True, "at least 0.4.0"),
        ("0.3.1", "0.4.0", True, None),
        ("0.3.1", "1.0.0", True, None),
        ("1.2.0", "1.1.9", False, "went back"),
    ],
)
def test_a_breaking_change_needs_a_new_version(
    before: str, after: str, breaking: bool, message: str | None
) -> None:
    old = document("1.2.0", before)
    new = document("1.2.0", after)
    if breaking:
        new["paths"]["/things"].pop("post")

    error = version_error(old, new, compare(old, new))

    if message is None:
        assert error is None
    else:
        assert message in str(error)
