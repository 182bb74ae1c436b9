"""Runs nginx and Caddy with the files of deploy/, on free ports and with another certificate."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import ROOT, free_port, wait_until

NGINX = ROOT / "deploy" / "nginx" / "orderly.conf"
CADDY = ROOT / "deploy" / "caddy" / "Caddyfile"
HOST = "localhost"


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for `HOST`, and its key."""

    certificate: Path
    key: Path

    @classmethod
    def create(cls, directory: Path) -> Certificate:
        """Create one that is valid for a day."""
        created = cls(directory / "fullchain.pem", directory / "privkey.pem")
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "1"),
                *("-keyout", created.key, "-out", created.certificate),
                *("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"),
            ],
            capture_output=True,
            check=True,
        )
        return created

    def context(self) -> ssl.SSLContext:
        """Return a TLS context of a client that trusts only this certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))


@dataclass(frozen=True)
class Proxy:
    """A running proxy."""

    http_port: int
    https_port: int
    certificate: Certificate
    directory: Path

    @property
    def url(self) -> str:
        """The URL of the shop."""
        return f"https://{HOST}:{self.https_port}"


@contextmanager
def run_nginx(upstream: int, directory: Path, changes: Mapping[str, str] = {}) -> Iterator[Proxy]:
    """Run nginx with deploy/nginx/orderly.conf for the duration of the block."""
    proxy = _new_proxy(directory)
    text = re.sub(r"^ *listen \[::\].*\n", "", NGINX.read_text(), flags=re.MULTILINE)
    text = _replace(
        text,
        {
            "shop.example.com": HOST,
            "/etc/ssl/orderly/": f"{proxy.certificate.certificate.parent}/",
            "127.0.0.1:8000": f"127.0.0.1:{upstream}",
            "listen 80 ": f"listen 127.0.0.1:{proxy.http_port} ",
            "listen 443 ": f"listen 127.0.0.1:{proxy.https_port} ",
            **changes,
        },
    )
    (directory / "orderly.conf").write_text(text)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {directory}/temp/{kind};\n" for kind in kinds)
    (directory / "temp").mkdir()
    # Its worker processes would run as another user, who cannot access the test's directory.
    user = "user root;\n" if os.geteuid() == 0 else ""
    main = f"""{user}daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
access_log off;
{paths}include {directory}/orderly.conf;
}}
"""
    (directory / "nginx.conf").write_text(main)
    command = [_program("nginx"), "-e", f"{directory}/error.log", "-c", f"{directory}/nginx.conf"]
    with _running(command, proxy, {}):
        yield proxy


@contextmanager
def run_caddy(upstream: int, directory: Path, changes: Mapping[str, str] = {}) -> Iterator[Proxy]:
    """Run Caddy with deploy/caddy/Caddyfile for the duration of the block."""
    proxy = _new_proxy(directory)
    files = f"{proxy.certificate.certificate} {proxy.certificate.key}"
    ports = f"admin off\n\thttp_port {proxy.http_port}\n\thttps_port {proxy.https_port}"
    text = _replace(
        CADDY.read_text(),
        {
            "\nshop.example.com {": f"\n{HOST} {{\n\ttls {files}",
            "127.0.0.1:8000": f"127.0.0.1:{upstream}",
            "{\n\tservers {": f"{{\n\t{ports}\n\tdefault_bind 127.0.0.1\n\tservers {{",
            **changes,
        },
    )
    (directory / "Caddyfile").write_text(text)
    command = [_program("caddy"), "run", "--config", f"{directory}/Caddyfile"]
    home = {"XDG_DATA_HOME": f"{directory}/data", "XDG_CONFIG_HOME": f"{directory}/config"}
    with _running([*command, "--adapter", "caddyfile"], proxy, home):
        yield proxy


def _new_proxy(directory: Path) -> Proxy:
    return Proxy(free_port(), free_port(), Certificate.create(directory), directory)


def _replace(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"The configuration has no {old!r}"
        text = text.replace(old, new)
    return text


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, f"{name} is not installed"
    return found


@contextmanager
def _running(command: list[str], proxy: Proxy, variables: Mapping[str, str]) -> Iterator[None]:
    with (proxy.directory / "output").open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **variables}, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: process.poll() is not None or _listens(proxy.https_port))
        assert process.poll() is None, (proxy.directory / "output").read_text()
        yield
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
