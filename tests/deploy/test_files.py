"""The files in deploy/ are valid for the programs that read them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
# The oldest and the newest version of Kubernetes.
KUBERNETES = ("1.31", "1.37")
# Of systemd-analyze security, in tenths: 3.0 of 10.
MAX_EXPOSURE = 30


def run(*command: str | Path, directory: Path = DEPLOY) -> str:
    """Run a program, which must succeed; return its standard output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=directory,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def test_the_dockerfile_and_the_scripts() -> None:
    run("hadolint", "--failure-threshold", "style", "image/Dockerfile")
    run("shellcheck", *DEPLOY.rglob("*.sh"))


def test_the_compose_file_with_the_secrets_that_the_script_creates(tmp_path: Path) -> None:
    copy = tmp_path / "deploy"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets"))
    directory = copy / "compose"
    run(directory / "create-secrets.sh")
    first = {path.name: path.read_text() for path in (directory / "secrets").iterdir()}
    run(directory / "create-secrets.sh")

    run("docker-compose", "config", "--quiet", directory=directory)
    config = yaml.safe_load(run("docker-compose", "config", directory=directory))
    assert {path.name: path.read_text() for path in (directory / "secrets").iterdir()} == first
    assert {name: Path(secret["file"]).name for name, secret in config["secrets"].items()} == {
        name: name for name in first
    }
    assert len(set(first.values())) == len(first)
    for service in config["services"].values():
        for volume in service.get("volumes", []):
            assert volume["type"] == "volume" or Path(volume["source"]).exists()


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    """Return the objects that Kustomize builds."""
    return list(yaml.safe_load_all(run("kubectl", "kustomize", "kubernetes")))


@pytest.mark.parametrize("version", KUBERNETES)
def test_the_kubernetes_objects(
    version: str, manifests: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(manifests))

    run("kubernetes-validate", "--strict", "-k", version, tmp_path / "all.yaml")


def test_every_selector_of_the_kubernetes_objects_matches_pods(
    manifests: list[dict[str, Any]],
) -> None:
    pods = [one["spec"]["template"] for one in manifests if one["kind"] in {"Deployment", "Job"}]
    labels = [pod["metadata"]["labels"] for pod in pods]

    for one in manifests:
        spec = one.get("spec", {})
        selector = {
            "Service": lambda spec: spec["selector"],
            "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda spec: spec["podSelector"].get("matchLabels", {}),
        }.get(one["kind"])
        if selector is not None:
            wanted = selector(spec).items()
            assert any(wanted <= pod.items() for pod in labels), one["metadata"]["name"]
    for pod in pods:
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_systemd_unit(tmp_path: Path) -> None:
    # The program is not installed here.
    unit = tmp_path / "orderly.service"
    text = (DEPLOY / "systemd" / "orderly.service").read_text()
    unit.write_text(text.replace("/opt/orderly/bin/orderly", "/bin/true"))

    run("systemd-analyze", "verify", unit)
    threshold = f"--threshold={MAX_EXPOSURE}"
    output = run("systemd-analyze", "security", "--offline=true", "--no-pager", threshold, unit)
    assert re.search(r"Overall exposure level for orderly.service: [0-2]\.\d", output)


def test_the_configurations_of_prometheus(tmp_path: Path) -> None:
    run("promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    # In the container, the alerts are beside the configuration.
    shutil.copy(DEPLOY / "compose" / "prometheus.yml", tmp_path)
    shutil.copy(DEPLOY / "prometheus" / "alerts.yml", tmp_path)
    run("promtool", "check", "config", tmp_path / "prometheus.yml")


def test_the_proxy_of_the_compose_file_is_the_example_with_other_addresses() -> None:
    def blocks(path: str) -> str:
        return (DEPLOY / path).read_text().partition("\n{\n")[2]

    expected = blocks("caddy/Caddyfile").replace("127.0.0.1:8000", "orderly:8000")
    expected = expected.replace("shop.example.com {", "{$SHOP_HOST:localhost} {")
    # Without the comment of the first lines, the files begin with the global options.
    compose = (DEPLOY / "compose" / "Caddyfile").read_text().partition("\n{\n")[2]
    assert expected == compose
    run("caddy", "validate", "--config", "compose/Caddyfile", "--adapter", "caddyfile")
