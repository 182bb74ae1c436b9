"""Secrets from files: `ORDERLY_SIGNING_KEY_FILE` names a file that contains the signing key.

Docker and Kubernetes mount secrets as files, and systemd passes credentials as files. Unlike an
environment variable, a file is not inherited by child processes and not shown by `docker inspect`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

SUFFIX = "_FILE"
MAX_BYTES = 65_536


def read_secret_files(
    environ: Mapping[str, str], names: Iterable[str]
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Read the variables in `names` whose value is in a file.

    Returns:
        The values by name, and errors as pairs of a variable's name and a message. No message
        repeats a value. White space around a value is removed: editors end a file with a newline.
    """
    values, errors = {}, []
    for name in names:
        path = environ.get(name + SUFFIX, "").strip()
        if not path:
            continue
        if environ.get(name, "").strip():
            errors.append((name + SUFFIX, f"Cannot be set together with {name}."))
            continue
        try:
            values[name] = _read(Path(path))
        except ValueError as error:
            errors.append((name + SUFFIX, str(error)))
    return values, errors


def _read(path: Path) -> str:
    """Return the content of a file.

    Raises:
        ValueError: the file cannot be read, or its content cannot be a secret.
    """
    try:
        with path.expanduser().open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, RuntimeError) as error:  # RuntimeError: `~user` of an unknown user
        reason = error.strerror if isinstance(error, OSError) else "No such directory"
        raise ValueError(f"The file cannot be read: {reason}.") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"The file is larger than {MAX_BYTES} bytes.")
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("The file is not UTF-8 text.") from None
    if not text:
        raise ValueError("The file is empty.")
    return text
