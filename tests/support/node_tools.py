"""Programs that `npm ci --prefix tests/contract/tools` installs."""

from __future__ import annotations

from tests.support.processes import ROOT

_PROGRAMS = ROOT / "tests/contract/tools/node_modules/.bin"
REDOCLY = _PROGRAMS / "redocly"
PRISM = _PROGRAMS / "prism"
SPECTRAL = _PROGRAMS / "spectral"
