"""Shows the progress of a run: one line that changes on a terminal, and plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time

import click

from orderly.verification.results import Outcome, Result, Results

_MAX_FAILURES = 20
_MIN_SECONDS = 0.1
_MARKS = {
    Outcome.PASSED: ("ok", "green"),
    Outcome.FAILED: ("FAILED", "red"),
    Outcome.NOT_REACHABLE: ("not reachable", "yellow"),
}


class Progress:
    """Prints to standard output, and the changing line to standard error."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._shown_at = 0.0
        self._failures = 0

    def say(self, text: str, **style: object) -> None:
        """Print a line that stays."""
        self._clear()
        click.secho(text, **style)  # type: ignore[arg-type]

    def update(self, text: str) -> None:
        """Replace the changing line."""
        now = time.monotonic()
        if self._is_terminal and now - self._shown_at >= _MIN_SECONDS:
            self._shown_at = now
            width = shutil.get_terminal_size().columns - 1
            click.echo(f"\r\x1b[K{text[:width]}", err=True, nl=False)

    def failed(self, result: Result) -> None:
        """Print a failed check, but not more of them than a reader looks at."""
        self._failures += 1
        if self._failures > _MAX_FAILURES:
            return
        self.say(f"  FAILED {result.name}", fg="red")
        self.say(f"         {result.message.splitlines()[0][:300] if result.message else ''}")

    def group(self, name: str, results: list[Result], seconds: float) -> None:
        """Print the outcome of a group of checks."""
        counts = dict.fromkeys(Outcome, 0)
        for result in results:
            counts[result.outcome] += 1
        outcome = next(
            one
            for one in (Outcome.FAILED, Outcome.PASSED, Outcome.NOT_REACHABLE)
            if counts[one] or one is Outcome.NOT_REACHABLE
        )
        mark, color = _MARKS[outcome]
        details = ", ".join(f"{count} {one}" for one, count in counts.items() if count)
        self.say(f"  {click.style(f'{mark:<7}', fg=color)} {name}: {details} ({seconds:.0f} s)")

    def summary(self, results: Results) -> None:
        """Print the table of the groups, and the coverage."""
        rows = [
            (group, *(str(sum(one.outcome is outcome for one in members)) for outcome in Outcome))
            for group, members in results.groups().items()
        ]
        header = ("", "passed", "failed", "not reachable")
        width = max(len(row[0]) for row in [header, *rows])
        self.say("")
        for row in [header, *rows]:
            cells = "".join(f"{cell:>15}" for cell in row[1:])
            self.say(f"  {row[0]:<{width}}{cells}", bold=row is header)
        if self._failures > _MAX_FAILURES:
            self.say(f"\n  {self._failures - _MAX_FAILURES} more failures are in the report.")
        self.say("")
        reasons = results.unreachable()
        for name, covered, documented, unreachable in results.coverage.totals_with(reasons):
            note = f", {unreachable} not reachable in this deployment" if unreachable else ""
            self.say(f"  {name + ':':<12}{covered} of {documented - unreachable}{note}")
        for reason, names in results.reasons().items():
            self.say(f"  Not reachable: {', '.join(names)}. {reason}", fg="yellow")
        self.say(f"  {results.generated_cases} generated requests, {results.seconds:.0f} s")

    def _clear(self) -> None:
        if self._is_terminal:
            click.echo("\r\x1b[K", err=True, nl=False)
