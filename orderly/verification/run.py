"""Runs all checks against a deployment, in the sequence in which they need each other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2

from domain.account_tokens import EMAIL_VERIFICATION, PASSWORD_RESET
from orderly.contract.document import TEST_SYSTEM
from orderly.verification import generated, served_document
from orderly.verification.accounts import Accounts
from orderly.verification.checks import Check
from orderly.verification.client import ExampleClient, Servers
from orderly.verification.coverage import Coverage
from orderly.verification.examples import RATE_LIMITS, checks
from orderly.verification.preparations import PREPARATIONS
from orderly.verification.progress import Progress
from orderly.verification.requests import NotReachable, Violation
from orderly.verification.results import Outcome, Result, Results, curl_of, steps_of
from orderly.verification.schemathesis_report import failures_in
from orderly.verification.served_document import CannotVerify

GENERATED = "generated requests get documented responses"
COVERAGE = "everything that the contract documents was met"

_MAIL_TOKENS = 4
_ALIVE_SECONDS = 5.0


class Stopped(Exception):  # noqa: N818  # its message is printed as it is
    """The run cannot go on. The message says why."""


@dataclass(frozen=True)
class Options:
    """What to verify, and how long."""

    url: str
    admin: tuple[str, str]
    sandbox_secret: bytes | None
    max_seconds: int
    seed: int
    report_directory: Path
    # Run only the checks whose names contain one of these words.
    only: Sequence[str] = ()

    @property
    def generates_requests(self) -> bool:
        """Whether Schemathesis runs too."""
        return self.max_seconds > 0 and self.wants(GENERATED)

    def wants(self, name: str) -> bool:
        """Return whether a check with this name runs."""
        return not self.only or any(word in name for word in self.only)


def start(options: Options, progress: Progress) -> Results:
    """Compare the served document with that of this package, and check who may be tested.

    Raises:
        CannotVerify: the deployment cannot be verified.
    """
    deployment = served_document.fetch(options.url)
    progress.say(f"  {'ok':<7} the served document is that of this package")
    if not deployment.is_test_system:
        raise CannotVerify(
            f"{options.url} does not declare itself a test system. The checks register users,"
            " place orders and change prices, so they must never run where data matters. If this"
            " deployment is for tests, set ORDERLY_TEST_SYSTEM=true there, or use"
            f" `orderly serve --demo`. (The document has no {TEST_SYSTEM} at its server.)"
        )
    results = Results(
        deployment.contract, deployment.api_url, options.seed, Coverage(deployment.contract)
    )
    _require_administrator(results, options)
    return results


def _require_administrator(results: Results, options: Options) -> None:
    email, password = options.admin
    response = httpx2.post(
        f"{results.url}/auth/token", json={"email": email, "password": password}, timeout=60
    )
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        raise CannotVerify(
            f"{email} cannot sign in. Give the email of an administrator by --admin-email, and the"
            " password by the variable ORDERLY_ADMIN_PASSWORD."
        )
    if response.is_error:
        raise CannotVerify(f"{email} cannot sign in: {response.status_code} {response.text}")
    if response.json()["user"]["role"] != "ADMIN":
        raise CannotVerify(f"{email} is not an administrator.")


def run(results: Results, options: Options, progress: Progress) -> None:
    """Run all checks; record their outcomes in `results`, also if the run ends early."""
    began = time.monotonic()
    try:
        _run(results, options, progress)
    except KeyboardInterrupt:
        results.incomplete = "Interrupted."
    except (Stopped, Violation) as error:
        results.incomplete = str(error)
    finally:
        results.seconds = time.monotonic() - began


def _run(results: Results, options: Options, progress: Progress) -> None:
    servers = Servers(results.url, sandbox_secret=options.sandbox_secret)
    client = ExampleClient(
        results.contract,
        servers,
        options.admin,
        coverage=results.coverage,
        preparations=PREPARATIONS,
    )
    found = [check for check in checks(results.contract) if options.wants(str(check))]
    with closing(client), _connection_errors(results.url):
        _run_checks(
            [check for check in found if check.group != RATE_LIMITS], client, results, progress
        )
        if options.generates_requests:
            _run_generated(client, results, options, progress)
        _run_checks(
            [check for check in found if check.group == RATE_LIMITS], client, results, progress
        )
    if not options.only:
        _check_coverage(results, progress)


@contextmanager
def _connection_errors(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx2.TransportError, OSError) as error:
        raise Stopped(
            f"The server at {url} stopped responding: {error or type(error).__name__}."
        ) from error


def _run_checks(
    found: Sequence[Check], client: ExampleClient, results: Results, progress: Progress
) -> None:
    groups: dict[str, list[Check]] = {}
    for check in found:
        groups.setdefault(check.group, []).append(check)
    for group, members in groups.items():
        began, done = time.monotonic(), []
        for number, check in enumerate(members, 1):
            progress.update(f"  {group}: {number} of {len(members)}, {check.name}")
            result = _run_check(check, client, results.url)
            done.append(result)
            results.results.append(result)
            if result.outcome is Outcome.FAILED:
                progress.failed(result)
        progress.group(group, done, time.monotonic() - began)


def _run_check(check: Check, client: ExampleClient, url: str) -> Result:
    began = time.monotonic()
    client.begin_check()
    outcome, message = Outcome.PASSED, ""
    try:
        check.run(client)
    except NotReachable as reason:
        outcome, message = Outcome.NOT_REACHABLE, str(reason)
    except Violation as violation:
        outcome, message = Outcome.FAILED, str(violation)
    except (httpx2.TransportError, OSError) as error:
        # One connection may break; a server that is gone ends the run.
        if not _is_alive(url):
            raise
        outcome, message = Outcome.FAILED, f"The connection broke: {error!r}"
    except (KeyError, ValueError, TypeError) as error:  # a response has not the expected form
        outcome, message = Outcome.FAILED, f"A response could not be used: {error!r}"
    finally:
        sent = list(client.sent)
        client.restore_administrators()
    seconds = time.monotonic() - began
    if outcome is not Outcome.FAILED:
        return Result(check.group, check.name, outcome, seconds, message)
    curl = curl_of(sent[-1][0], url) if sent else ""
    curl = curl.replace(client.admin_password, "PASSWORD")
    return Result(check.group, check.name, outcome, seconds, message, steps_of(sent), curl)


def _is_alive(url: str) -> bool:
    end = time.monotonic() + _ALIVE_SECONDS
    while time.monotonic() < end:
        with suppress(httpx2.TransportError):
            httpx2.get(f"{url}/products", timeout=_ALIVE_SECONDS)
            return True
        time.sleep(0.5)
    return False


def _run_generated(
    client: ExampleClient, results: Results, options: Options, progress: Progress
) -> None:
    began = time.monotonic()
    progress.update(f"  {GENERATED}: preparing accounts and mails")
    accounts = Accounts.register(results.url, options.admin)
    hooks = generated.HookData(options.sandbox_secret, _mail_tokens(client))
    events = options.report_directory / "events.ndjson"
    events.unlink(missing_ok=True)  # of an earlier run

    def on_progress() -> None:
        seconds = time.monotonic() - began
        progress.update(f"  {GENERATED}: {seconds:.0f} s of about {options.max_seconds} s")

    log_path = options.report_directory / "schemathesis.txt"
    with TemporaryDirectory(prefix="orderly-verify-") as directory, log_path.open("wb") as log:
        try:
            status = generated.run_schemathesis(
                results.contract,
                results.url,
                accounts,
                hooks,
                directory=Path(directory),
                reports=options.report_directory,
                arguments=[
                    *("--max-time", str(options.max_seconds), "--seed", str(options.seed)),
                    *("--rate-limit", "auto", "--no-color"),
                    # On a slow machine, few requests are no fault of the deployment. The coverage
                    # by all checks together is required instead.
                    *("--warnings", "off"),
                ],
                output=log,
                on_progress=on_progress,
            )
        finally:
            if events.exists():
                generated.record(events, results.contract, results.coverage)
                results.generated_cases = sum(1 for _ in generated.cases(events))
    if not _is_alive(results.url):
        raise Stopped(f"The server at {results.url} stopped responding to generated requests.")
    seconds = time.monotonic() - began
    failures = [
        Result(GENERATED, failure.name, Outcome.FAILED, 0.0, failure.message, (), failure.curl)
        for failure in failures_in(events)
    ]
    if not failures:
        outcome = Outcome.PASSED if status == 0 else Outcome.FAILED
        message = "" if status == 0 else f"Schemathesis reports errors: see {log_path}."
        failures = [Result(GENERATED, GENERATED, outcome, seconds, message)]
    results.results += failures
    for result in failures:
        if result.outcome is Outcome.FAILED:
            progress.failed(result)
    progress.group(f"{GENERATED}, {results.generated_cases} requests", failures, seconds)


_MAIL_KINDS = {
    "confirm_password_reset": PASSWORD_RESET,
    "confirm_email_verification": EMAIL_VERIFICATION,
}


def _mail_tokens(client: ExampleClient) -> dict[str, list[str]]:
    """Register users, and return the tokens of the mails to them; none if mails are not kept."""
    emails = []
    for _ in range(_MAIL_TOKENS):
        client.forget_ada()
        emails.append(client.examples["credentials"]["email"])
        for kind in _MAIL_KINDS.values():
            client.request_mail(kind, emails[-1])
    client.forget_ada()
    try:
        return {
            operation_id: [client.wait_for_mail_token(kind, email) for email in emails]
            for operation_id, kind in _MAIL_KINDS.items()
        }
    except NotReachable:
        return {}


def _check_coverage(results: Results, progress: Progress) -> None:
    """Fail for what is documented and was never met, and for undocumented codes."""
    found = results.coverage_failures(COVERAGE) or [Result(COVERAGE, COVERAGE, Outcome.PASSED)]
    results.results += found
    for result in found:
        if result.outcome is Outcome.FAILED:
            progress.failed(result)
    progress.group(COVERAGE, found, 0.0)
