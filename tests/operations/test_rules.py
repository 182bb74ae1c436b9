"""The alerts are valid, and fire and are resolved after their real durations: `promtool`."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.support.prometheus import DIRECTORY, RULES, scaled_rules

TESTS = DIRECTORY / "alerts_test.yml"


def promtool(*arguments: str | Path) -> str:
    """Run promtool, which must succeed; return its output."""
    done = subprocess.run(
        ["promtool", *map(str, arguments)],
        cwd=DIRECTORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, f"{done.stdout}{done.stderr}"
    return done.stdout


def names_of_alerts() -> list[str]:
    return [rule["alert"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]]


def test_the_rules_and_the_copy_for_tests_are_valid(tmp_path: Path) -> None:
    copy = tmp_path / "alerts.yml"
    copy.write_text(scaled_rules())

    for file in (RULES, copy):
        assert f"{len(names_of_alerts())} rules found" in promtool("check", "rules", file)


def test_the_alerts_fire_and_are_resolved_after_their_durations() -> None:
    assert "SUCCESS" in promtool("test", "rules", TESTS)


def test_promtool_checks_of_each_alert_that_it_fires_not_earlier_and_not_longer() -> None:
    cases: list[dict[str, Any]] = yaml.safe_load(TESTS.read_text())["tests"]

    def fires_at_some_times_only(alert: str) -> bool:
        return any(
            [False, True, True, False]
            == [bool(check.get("exp_alerts")) for check in case["alert_rule_test"]]
            for case in cases
            if case["alert_rule_test"][0]["alertname"] == alert
        )

    assert [] == [alert for alert in names_of_alerts() if not fires_at_some_times_only(alert)]
