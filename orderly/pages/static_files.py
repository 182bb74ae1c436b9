"""Reads the files of a page that consists of a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Final

# The content and media type of files, by URL path
Files = dict[str, tuple[bytes, str]]

_MEDIA_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


def files_of(directory: Path, url: str) -> Files:
    """Return the files of a page. `index.html` has the URL path `url`, which ends with a slash."""
    return {
        url + ("" if file.name == "index.html" else file.name): (
            file.read_bytes(),
            _MEDIA_TYPES[file.suffix],
        )
        for file in sorted(directory.iterdir())
        if file.suffix in _MEDIA_TYPES
    }
