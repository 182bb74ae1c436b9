"""The linter's rules of our own find what they are there for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import yaml

from tests.support.contract import LINTER

BROKEN = """\
openapi: 3.0.3
info: {title: Broken, version: 1.0.0}
tags: [{name: things}]
paths:
  /things:
    get:
      operationId: listThings
      parameters: [{name: maxSize, in: query, schema: {type: integer}}]
      responses:
        '200':
          description: A page.
          content: {application/json: {schema: {$ref: '#/components/schemas/page'}}}
          links: {nextPage: {operationId: listThings}}
        '400': {$ref: '#/components/responses/malformed'}
components:
  responses: {malformed: {description: Malformed.}}
  examples: {firstPage: {value: 1}}
  schemas:
    page:
      type: object
      properties:
        nextPage: {type: string}
        items: {type: array}
        kind: {type: string, enum: [Round]}
"""


def test_each_rule_of_our_own_finds_what_it_is_for(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN)
    configuration = repository / "redocly.yaml"
    rules = yaml.safe_load(configuration.read_text())["rules"]

    done = subprocess.run(
        [
            *(LINTER, "lint", tmp_path / "broken.yaml", "--config", configuration),
            *("--format", "json", "--max-problems", "1000"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    found = {one["ruleId"] for one in json.loads(done.stdout)["problems"]}
    assert {rule for rule in rules if rule.startswith("rule/")} <= found
