"""Each linter finds the violations that it is for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.support.node_tools import REDOCLY, SPECTRAL

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

    found = found_by_redocly(tmp_path / "invalid.yaml", configuration)

    assert {rule for rule in rules if rule.startswith("rule/")} <= found


def test_the_usual_rules_of_redocly_find_a_violation(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "invalid.yaml").write_text(DOCUMENT)
    configuration = repository / "tests/contract/tools/recommended.yaml"

    found = found_by_redocly(tmp_path / "invalid.yaml", configuration)

    assert {"operation-summary", "security-defined", "no-empty-servers", "info-license"} <= found


# Each fault is one that a rule of Spectral, or of OWASP's ruleset, is for.
INSECURE = """\
openapi: 3.0.3
info: {title: Invalid, version: 1.0.0, description: Has faults.}
servers: [{url: 'http://shop.example.com/api', description: production}]
tags: [{name: things, description: Things.}]
paths:
  /things/{id}:
    post:
      operationId: create_thing
      description: Creates a thing.
      tags: [things]
      security: []
      parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
      responses:
        '200':
          description: A thing.
          content:
            application/json:
              schema: {$ref: '#/components/schemas/Thing'}
              examples: {wrong: {value: {name: 1}}}
components:
  schemas:
    Thing: {type: object, additionalProperties: true, properties: {name: {type: string}}}
    Unused: {type: string, enum: [A]}
"""
RULES_OF_SPECTRAL = {"oas3-valid-media-example", "oas3-unused-component"}
RULES_OF_OWASP = {
    "owasp:api1:2023-no-numeric-ids",
    "owasp:api2:2023-write-restricted",
    "owasp:api3:2023-no-additionalProperties",
    "owasp:api4:2023-rate-limit-responses-429",
    "owasp:api4:2023-string-limit",
    "owasp:api8:2023-define-error-responses-401",
    "owasp:api8:2023-define-error-responses-500",
    "owasp:api8:2023-no-server-http",
    "owasp:api9:2023-inventory-access",
}


def test_spectral_finds_violations_of_its_own_rules_and_of_owasps(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "insecure.yaml").write_text(INSECURE)

    problems = lint(
        *(SPECTRAL, "lint", tmp_path / "insecure.yaml", "--ruleset", repository / "spectral.yaml"),
        *("--fail-severity", "warn", "--format", "json", "--quiet"),
    )

    assert RULES_OF_SPECTRAL | RULES_OF_OWASP <= {problem["code"] for problem in problems}


def found_by_redocly(document: Path, configuration: Path) -> set[str]:
    """Lint a document; return the rules that it violates."""
    output = lint(
        *(REDOCLY, "lint", document, "--config", configuration),
        *("--format", "json", "--max-problems", "1000"),
    )
    return {problem["ruleId"] for problem in output["problems"]}


def lint(*command: str | Path) -> Any:
    """Run a linter that must fail; return its output."""
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 1 == finished.returncode, finished.stderr
    return json.loads(finished.stdout)
