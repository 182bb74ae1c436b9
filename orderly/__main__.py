"""Makes `python -m orderly` the same as the command `orderly`."""

from orderly.cli.main import main

if __name__ == "__main__":  # a worker process imports this file too
    main()
