"""Shows on a terminal which table is being copied."""

from __future__ import annotations

import sys

import click


def show_progress(table: str) -> None:
    """Replace the line of the progress, if standard error is a terminal."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{table} ...", err=True, nl=False)


def end_progress() -> None:
    """Remove the line of the progress."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
