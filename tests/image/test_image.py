"""The container image: built from Debian's packages, and run without privileges."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from orderly import __version__
from tests.support.containers import Containers
from tests.support.processes import free_port, wait_until

BASE = "localhost/orderly-base"
IMAGE = "localhost/orderly"
# A user id that no file of the image names, and the one of the image.
ARBITRARY_USER = "12345"
OWN_USER = "10001:0"
MAX_BYTES = 500_000_000
HEALTHCHECK = ("/opt/orderly/bin/python", "-I", "-S", "/opt/orderly/healthcheck.py")
ACCOUNT = {"email": "ada@example.com", "password": "brew-42-slow-mornings", "name": "Ada"}


@pytest.fixture(scope="session")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """Build the image; delete it at the end."""
    containers = Containers.create(tmp_path_factory.mktemp("containers"))
    try:
        started = time.monotonic()
        containers.create_base(BASE)
        print(f"\nbase image: {time.monotonic() - started:.0f} s")  # noqa: T201
        started = time.monotonic()
        containers.build(IMAGE, base=BASE)
        print(f"image: {time.monotonic() - started:.0f} s")  # noqa: T201
        yield containers
    finally:
        containers.delete()


def size(containers: Containers, name: str) -> int:
    """Return the size of an image in bytes, without compression."""
    return int(containers.run("podman", "inspect", "--format={{.Size}}", name))


def is_ready(url: str) -> bool:
    """Return whether a server responds to a readiness check with success."""
    try:
        return httpx2.get(f"{url}/health/ready").is_success
    except httpx2.TransportError:
        return False


def test_the_image_is_small_and_runs_as_another_user_than_root(containers: Containers) -> None:
    total, base = size(containers, IMAGE), size(containers, BASE)
    print(f"\nsize: {total / 1e6:.0f} MB, of it the base {base / 1e6:.0f} MB")  # noqa: T201

    assert total < MAX_BYTES
    user = containers.run("podman", "inspect", "--format={{.Config.User}}", IMAGE)
    assert user.strip() == OWN_USER


@pytest.mark.parametrize("user", [ARBITRARY_USER, OWN_USER])
def test_a_shop_with_the_embedded_database_keeps_its_data(
    containers: Containers, user: str
) -> None:
    volume = f"shop-{user.partition(':')[0]}"
    containers.run("podman", "volume", "create", volume)
    options = (f"--volume={volume}:/var/lib/orderly",)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    for start in ("first", "second"):
        started = time.monotonic()
        with containers.running(
            IMAGE, user=user, options=options, ORDERLY_PORT=str(port)
        ) as container:
            wait_until(lambda: container.poll() is not None or is_ready(url))
            assert container.poll() is None
            print(f"\n{user}: {start} start: {time.monotonic() - started:.1f} s")  # noqa: T201
            response = httpx2.post(f"{url}/api/v1/auth/register", json=ACCOUNT, timeout=60)
            assert response.status_code == (201 if start == "first" else 409), response.text
            containers.run("podman", "exec", "orderly", *HEALTHCHECK)
            refused = ["podman", "exec", "orderly", "sh", "-c", "! touch /opt/orderly/new"]
            containers.run(*refused)
        assert container.returncode == 0


def test_the_commands_work_with_an_external_database_and_secrets_in_files(
    containers: Containers, empty_database_url: str, tmp_path: Path
) -> None:
    # The socket of the tests' PostgreSQL is in a directory that other users cannot enter.
    (tmp_path / "url").write_text(empty_database_url)
    (tmp_path / "key").write_text("k" * 32)
    variables = {
        "ORDERLY_DATABASE_URL_FILE": "/run/secrets/url",
        "ORDERLY_SIGNING_KEY_FILE": "/run/secrets/key",
        "ORDERLY_PORT": str(free_port()),
    }
    socket = _socket_directory(empty_database_url)
    options = (f"--volume={tmp_path}:/run/secrets:ro", f"--volume={socket}:{socket}")

    migrated = containers.run_to_end(IMAGE, "migrate", user="0", options=options, **variables)
    assert migrated.returncode == 0, migrated.stderr
    checked = containers.run_to_end(IMAGE, "check-config", user="0", options=options, **variables)
    assert checked.returncode == 0, checked.stdout
    assert "file /run/secrets/url" in checked.stdout


def _socket_directory(url: str) -> str:
    from psycopg2.extensions import parse_dsn  # noqa: PLC0415

    directory = parse_dsn(url)["host"]
    assert isinstance(directory, str)
    return directory


def test_a_command_prints_to_the_terminal_and_passes_its_status_on(containers: Containers) -> None:
    version = containers.run_to_end(IMAGE, "--version", user=ARBITRARY_USER)
    invalid = containers.run_to_end(IMAGE, user=ARBITRARY_USER, ORDERLY_PORT="x")

    assert version.stdout == f"orderly {__version__}\n"
    assert invalid.returncode == 2
    assert "ORDERLY_PORT" in invalid.stderr
