"""What a run has found: the outcome of each check, and the coverage of the contract."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orderly.verification.client import headers_of
from orderly.verification.contract import Contract, ErrorCode, Link, OperationStatus
from orderly.verification.coverage import Coverage
from orderly.verification.requests import Request


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_REACHABLE = "not reachable"


@dataclass(frozen=True)
class Result:
    """The outcome of one check."""

    group: str
    name: str
    outcome: Outcome
    seconds: float = 0.0
    # Why it failed, or why this deployment cannot show it.
    message: str = ""
    # Each request of a failed check with the status of its response, and the last one as a command.
    steps: tuple[str, ...] = ()
    curl: str = ""


@dataclass
class Results:
    """The results of a run, which may still be running."""

    contract: Contract
    url: str
    seed: int
    coverage: Coverage
    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0
    # Why the run ended early. Empty: it is complete.
    incomplete: str = ""
    generated_cases: int = 0

    def failures(self) -> list[Result]:
        """Return the checks that failed."""
        return [one for one in self.results if one.outcome is Outcome.FAILED]

    def groups(self) -> Mapping[str, list[Result]]:
        """Return the results by group, in the sequence in which they ran."""
        groups: dict[str, list[Result]] = {}
        for result in self.results:
            groups.setdefault(result.group, []).append(result)
        return groups

    def unreachable(self) -> Mapping[str, str]:
        """Return why this deployment cannot give each status or code, by its name.

        A status is not reachable if none of its codes is.
        """
        reasons = {
            result.name: result.message
            for result in self.results
            if result.outcome is Outcome.NOT_REACHABLE
        }
        by_status: dict[OperationStatus, list[str]] = {}
        for code in self.contract.codes():
            status = OperationStatus(code.operation_id, code.status)
            by_status.setdefault(status, []).append(str(code))
        for status, codes in by_status.items():
            if all(code in reasons for code in codes):
                reasons[str(status)] = reasons[codes[0]]
        for result in self.results:
            if result.outcome is Outcome.NOT_REACHABLE:
                # An example of a response is named after its status: "register 202 accepted".
                operation_id, _, rest = result.name.partition(" ")
                reasons.setdefault(f"{operation_id} {rest.partition(' ')[0]}", result.message)
        return reasons

    def not_reached(self) -> Iterator[tuple[OperationStatus | ErrorCode | Link, str]]:
        """Yield what the contract documents and the run did not meet, with the reason.

        Without a reason, it is a failure of the run.
        """
        reasons = self.unreachable()
        missing: list[OperationStatus | ErrorCode | Link] = [
            *self.coverage.missing_statuses(),
            *self.coverage.missing_codes(),
            *self.coverage.missing_links(),
        ]
        for one in missing:
            yield one, reasons.get(str(one), "")

    def coverage_failures(self, group: str) -> list[Result]:
        """Return a failure for what was never met without a reason, and for undocumented codes."""
        missing = [
            Result(group, str(one), Outcome.FAILED, 0.0, f"{one} is documented, and was never met.")
            for one, reason in self.not_reached()
            if not reason
        ]
        undocumented = [
            Result(group, str(one), Outcome.FAILED, 0.0, f"{one} was met, and is not documented.")
            for one in self.coverage.undocumented_codes()
        ]
        return missing + undocumented

    def reasons(self) -> Mapping[str, list[str]]:
        """Return what was not reached for each reason of this deployment."""
        by_reason: dict[str, list[str]] = {}
        for one, reason in self.not_reached():
            if reason:
                by_reason.setdefault(reason, []).append(str(one))
        return by_reason

    def is_successful(self) -> bool:
        """Return whether the run is complete and no check has failed."""
        return not self.incomplete and not self.failures()


def steps_of(sent: list[tuple[Request, int]]) -> tuple[str, ...]:
    """Return a line for each request of a check, with the status of its response."""
    return tuple(f"{_line(request)} -> {status}" for request, status in sent)


def curl_of(request: Request, api_url: str) -> str:
    """Return a command that repeats a request, with $TOKEN instead of an access token."""
    url = f"{api_url}{request.operation['path'].format(**request.path)}"
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    command = ["curl", "-i", "-X", request.operation["method"].upper()]
    for name, value in headers_of(request).items():
        command += ["-H", f"{name}: {value}"]
    content = request.encoded()
    if content is not None:
        command += ["-H", f"Content-Type: {request.media_type}"]
        text = content.decode(errors="replace")
        command += ["--data-binary", text if len(text) < _MAX_BODY else f"{text[:_MAX_BODY]}..."]
    command.append(f"{url}?{query}" if query else url)
    # The end of the quoted argument, the variable in quotes, and the rest of the argument.
    return _TOKEN.sub("'\"$TOKEN\"'", shlex.join(command))


_MAX_BODY = 2000
_TOKEN = re.compile(r"(?<=[ =])eyJ[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


def _line(request: Request) -> str:
    path = request.operation["path"].format(**request.path)
    return f"{request.operation['method'].upper()} {path}"
