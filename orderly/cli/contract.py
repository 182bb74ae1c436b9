"""The command `openapi`."""

from __future__ import annotations

import click

from orderly.cli.command import load_settings, report_errors


@click.command()
@click.option(
    "--format", "syntax", type=click.Choice(["json", "yaml"]), default="yaml", show_default=True
)
@report_errors
def openapi(syntax: str) -> None:
    """Print the contract as one OpenAPI document."""
    from handlers.cookies import SessionCookies  # noqa: PLC0415
    from orderly.contract import document  # noqa: PLC0415

    settings = load_settings()
    cookie_names = SessionCookies(settings.cookie_secure).names()
    published = document.published(document.load(settings.currency, cookie_names=cookie_names))
    write = document.as_json if syntax == "json" else document.as_yaml
    click.echo(write(published), nl=False)
