"""Each custom rule in redocly.yaml finds the violation that it is for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import yaml

from tests.support.node_tools import REDOCLY

# Violates every custom rule.
DOCUMENT = """\
openapi: 3.0.3
info: {title: Invalid, version: 1.0.0}
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
        size: {type: string, enum: [S], x-extensible-enum: [S]}
        box: {type: object}
        phase: {type: string, x-state-machine: {initial: NEW, transitions: []}}
"""


def test_each_custom_rule_finds_a_violation(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "invalid.yaml").write_text(DOCUMENT)
    configuration = repository / "redocly.yaml"
    rules = yaml.safe_load(configuration.read_text())["rules"]

    finished = subprocess.run(
        [
            *(REDOCLY, "lint", tmp_path / "invalid.yaml", "--config", configuration),
            *("--format", "json", "--max-problems", "1000"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    found = {problem["ruleId"] for problem in json.loads(finished.stdout)["problems"]}
    assert {rule for rule in rules if rule.startswith("rule/")} <= found
