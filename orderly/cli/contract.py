"""The command `openapi`."""

from __future__ import annotations

import click

from orderly.cli.command import load_settings, report_errors


@click.command()
@click.option(
    "--format", "syntax", type=click.Choice(["json", "yaml"]), default="yaml", show_default=True
)
@click.option(
    "--with-link-bodies",
    is_flag=True,
    help="Include the request bodies of links, for tests that follow links.",
)
@report_errors
def openapi(syntax: str, with_link_bodies: bool) -> None:
    """Print the contract as one OpenAPI document."""
    from handlers.cookies import SessionCookies  # noqa: PLC0415
    from orderly.contract import document  # noqa: PLC0415

    settings = load_settings()
    cookie_names = SessionCookies(settings.cookie_secure).names()
    contract = document.load(settings.currency, cookie_names=cookie_names)
    published = document.published(contract, with_link_bodies=with_link_bodies)
    write = document.as_json if syntax == "json" else document.as_yaml
    click.echo(write(published), nl=False)
