"""Lets `python -m orderly` stand for the `orderly` command."""

from orderly.cli import main

main()
