"""Lets `python -m orderly` stand for the `orderly` command."""

from orderly.cli.main import main

if __name__ == "__main__":  # a worker process imports this file too
    main()
