"""The files in deploy/ name real settings, this version, and what the repository contains."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from orderly import __version__
from orderly.settings import SECRETS, Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
# Of compose.yaml, not of Orderly.
COMPOSE_VARIABLES = {"ORDERLY_IMAGE"}


def test_every_setting_in_a_file_exists() -> None:
    known = {f"ORDERLY_{one.name.upper()}" for one in fields(Settings)}
    known |= {f"{name}_FILE" for name in SECRETS} | COMPOSE_VARIABLES

    for path in DEPLOY.rglob("*"):
        if path.is_file():
            named = set(re.findall(r"ORDERLY_[A-Z_]+", path.read_text()))
            assert named - known == set(), path


def test_the_image_of_kubernetes_has_this_version() -> None:
    text = (DEPLOY / "kubernetes" / "kustomization.yaml").read_text()

    assert f"newTag: {__version__}\n" in text


def test_the_programs_that_build_the_image_have_hashes() -> None:
    text = (DEPLOY / "image" / "build-requirements.lock").read_text()

    assert {"hatchling", "uv"} <= set(re.findall(r"^([\w-]+)==", text, re.MULTILINE))
    assert "://" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in entry
