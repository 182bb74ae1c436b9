"""The command `verify`."""

from __future__ import annotations

import os
import secrets
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from orderly.cli.command import FAILED, USAGE_ERROR, fail, report_errors

_REPORTS = "orderly-verify"


@click.command(
    epilog="Exit status: 0, everything passed; 1, a check failed; 2, the run could not "
    "start, or ended early."
)
@click.argument("url")
@click.option(
    "--max-time",
    "max_seconds",
    type=click.IntRange(min=0),
    default=150,
    show_default=True,
    metavar="SECONDS",
    help="Time for generated requests; 0: none. The other checks take some minutes more.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the generated requests.")
@click.option(
    "--report-dir",
    "report_directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=_REPORTS,
    show_default=True,
    help="Directory for report.html, junit.xml and coverage.json.",
)
@click.option(
    "--admin-email",
    help="Email of an administrator; the password is in ORDERLY_ADMIN_PASSWORD. "
    "Default: the administrator of `serve --demo`.",
)
@click.option(
    "--sandbox-secret",
    envvar="ORDERLY_SANDBOX_SECRET",
    show_envvar=True,
    help="Key of the deployment's payment sandbox. Default: that of `serve --demo`.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="WORD",
    help="Run only checks with this word in their name, such as an operationId. Repeatable.",
)
@report_errors
def verify(
    url: str,
    max_seconds: int,
    seed: int | None,
    report_directory: Path,
    admin_email: str | None,
    sandbox_secret: str | None,
    only: tuple[str, ...],
) -> None:
    """Verify the deployment at URL against the contract of this package.

    Sends every example of the contract, triggers every error, follows every link, generates
    requests with Schemathesis, tries other customers' objects, and races for stock and
    idempotency keys. Registers its own customers; needs no access to the server's database or
    files.

    Creates and changes data. Refuses a deployment that does not declare itself a test system:
    ORDERLY_TEST_SYSTEM=true, or `orderly serve --demo`.
    """
    if find_spec("schemathesis") is None:
        fail(
            "`orderly verify` needs Schemathesis. Install it: pip install 'orderly-api[qa]'",
            status=USAGE_ERROR,
        )
    from orderly.verification.progress import Progress  # noqa: PLC0415
    from orderly.verification.report import write_reports  # noqa: PLC0415
    from orderly.verification.run import Options, run, start  # noqa: PLC0415
    from orderly.verification.served_document import CannotVerify  # noqa: PLC0415

    options = Options(
        url=url,
        admin=_admin(admin_email),
        sandbox_secret=(sandbox_secret or _demo_secret()).encode(),
        max_seconds=max_seconds,
        seed=secrets.randbelow(1 << 32) if seed is None else seed,
        report_directory=report_directory,
        only=only,
    )
    progress = Progress()
    progress.say(f"Verifying {url} (seed {options.seed})", bold=True)
    try:
        results = start(options, progress)
    except CannotVerify as error:
        fail(str(error), status=USAGE_ERROR)
    report_directory.mkdir(parents=True, exist_ok=True)
    run(results, options, progress)
    progress.summary(results)
    report = write_reports(results, report_directory)
    progress.say(f"\nReport: {report}")
    if results.incomplete:
        fail(f"The run is not complete. {results.incomplete}", status=USAGE_ERROR)
    sys.exit(0 if results.is_successful() else FAILED)


def _admin(email: str | None) -> tuple[str, str]:
    """Return the email and the password of the administrator."""
    from orderly.settings import ADMIN_PASSWORD_VARIABLE  # noqa: PLC0415
    from services.demo import ACCOUNTS  # noqa: PLC0415

    if email is None:
        return ACCOUNTS[0].email, ACCOUNTS[0].password
    password = os.environ.get(ADMIN_PASSWORD_VARIABLE, "")
    if not password:
        fail(f"--admin-email needs the password in {ADMIN_PASSWORD_VARIABLE}.", status=USAGE_ERROR)
    return email, password


def _demo_secret() -> str:
    from integrations.payments.sandbox import DEMO_SECRET  # noqa: PLC0415

    return DEMO_SECRET
