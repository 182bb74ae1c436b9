"""Builds and runs container images with buildah and podman, without a registry or a daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import ROOT

DEBIAN = "http://deb.debian.org/debian"
# Where Debian's package ca-certificates takes more authorities from.
_AUTHORITIES = Path("usr/local/share/ca-certificates")
_SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_RUN_SECONDS = 120


@dataclass(frozen=True)
class Containers:
    """Images and containers in a directory of their own."""

    directory: Path

    @classmethod
    def create(cls, directory: Path) -> Containers:
        """Prepare a directory.

        Raises:
            AssertionError: this user is not root, or a program is missing.
        """
        assert os.geteuid() == 0, "buildah and podman must run as root here"
        for program in ("buildah", "podman", "runc", "debootstrap"):
            assert shutil.which(program), f"{program} is not installed"
        # podman's defaults need systemd, and more than the limits of some machines.
        (directory / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = ["nofile=8192:8192", "nproc=4096:4096"]\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nruntime = "runc"\n'
        )
        return cls(directory)

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return a command of buildah or podman."""
        places = [f"--root={self.directory}/storage", f"--runroot={self.directory}/run"]
        return [program, *places, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of these commands."""
        return {**os.environ, "CONTAINERS_CONF": str(self.directory / "containers.conf")}

    def run(self, program: str, *arguments: str) -> str:
        """Run a command, which must succeed; return its standard output."""
        done = subprocess.run(
            self.command(program, *arguments),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout

    def create_base(self, name: str) -> None:
        """Create an image with Debian 12 from its packages."""
        system = self.directory / "debian"
        command = ["debootstrap", "--variant=minbase", "bookworm", str(system), DEBIAN]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:]
        for cached in system.glob("var/cache/apt/archives/*.deb"):
            cached.unlink()
        shutil.rmtree(system / "var/lib/apt/lists")
        if _SYSTEM_AUTHORITIES.exists():
            # A network can have a proxy with an authority of its own.
            (system / _AUTHORITIES).mkdir(parents=True, exist_ok=True)
            shutil.copy(_SYSTEM_AUTHORITIES, system / _AUTHORITIES / "host.crt")
        archive = self.directory / "debian.tar"
        subprocess.run(["tar", "-C", system, "-cf", archive, "."], check=True)
        self.run("podman", "import", "--quiet", str(archive), name)
        archive.unlink()
        shutil.rmtree(system)

    def build(self, name: str, *, base: str) -> None:
        """Build the image of deploy/image/Dockerfile."""
        self.run(
            "buildah",
            *("bud", "--isolation=chroot", "--network=host", "--pull-never", "--format=docker"),
            *(f"--build-arg=BASE={base}", "--file=deploy/image/Dockerfile", f"--tag={name}", "."),
        )

    def arguments(self, user: str, variables: Mapping[str, str], *options: str) -> list[str]:
        """Return the arguments of `podman run` for an unprivileged container."""
        return [
            *("run", "--rm", "--network=host", "--read-only", f"--user={user}", "--cap-drop=all"),
            # Health checks of podman need systemd.
            *("--security-opt=no-new-privileges", "--no-healthcheck", *options),
            *(f"--env={name}={value}" for name, value in variables.items()),
        ]

    def run_to_end(
        self, image: str, *command: str, user: str, options: tuple[str, ...] = (), **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a container until it ends."""
        return subprocess.run(
            self.command("podman", *self.arguments(user, variables, *options), image, *command),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
            check=False,
        )

    @contextmanager
    def running(
        self, image: str, *command: str, user: str, options: tuple[str, ...] = (), **variables: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a container with the name `orderly`; stop it at the end of the block.

        Then the process has the exit status of the container.
        """
        arguments = self.arguments(user, variables, "--name=orderly", *options)
        process = subprocess.Popen(
            self.command("podman", *arguments, image, *command),
            env=self.environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.terminate()  # podman passes the signal on
            process.wait(_RUN_SECONDS)

    def delete(self) -> None:
        """Delete all images and containers."""
        self.run("podman", "system", "reset", "--force")
