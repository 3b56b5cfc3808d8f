"""Containers without Docker, by Debian's bubblewrap: the same command lines, files, paths, ports and restrictions.

A container sees the machine's ``/usr`` and this Python instead of an image's, and what compose mounts. It has no
capabilities, and a network of its own or another container's. No rights are needed where users may make namespaces.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.envoy.binary import find_envoy
from tests.deploy.compose import ROOT
from tests.deploy.networks import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deploy.compose import Mount, Service
    from tests.deploy.networks import Network

START_SECONDS = 60.0
POLL_SECONDS = 0.05
# An image's programs that are elsewhere on this machine.
PROGRAMS = "/opt/programs"


class Container:
    """A service that runs. ``volumes`` is the folder of named volumes, ``hosts`` the names it knows."""

    def __init__(self, service: Service, network: Network, volumes: Path, hosts: dict[str, str]) -> None:
        self.service = service
        self._network = network
        self._volumes = volumes
        self._said = volumes / f"{service.name}.log"
        self._hosts = volumes / f"{service.name}.hosts"
        self._hosts.write_text("".join(f"{where} {name}\n" for name, where in hosts.items()))
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Container {self.service.name}>"

    def start(self) -> None:
        """Starts its process."""
        with self._said.open("ab") as said:
            self._process = subprocess.Popen(
                [*self._inside(), *self.service.words],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kills its process, as ``docker kill`` does; one that has ended stays so."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def exit_code(self) -> int:
        """Waits for its end."""
        assert self._process is not None
        return self._process.wait(START_SECONDS)

    def said(self) -> str:
        """What it wrote."""
        return self._said.read_text() if self._said.exists() else ""

    def healthy(self) -> bool:
        """Whether its health check says so."""
        kind, *words = self.service.told["healthcheck"]["test"]
        assert kind == "CMD"
        done = subprocess.run(
            [*self._inside(), *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=START_SECONDS, check=False
        )
        return done.returncode == 0

    def wait_until_healthy(self) -> None:
        """Returns once its health check succeeds."""
        until = time.monotonic() + START_SECONDS
        while not self.healthy():
            assert self._process is not None
            assert self._process.poll() is None, f"{self!r} ended: {self.said()}"
            assert time.monotonic() < until, f"{self!r} is not healthy: {self.said()}"
            time.sleep(POLL_SECONDS)

    def _inside(self) -> list[str]:
        return [*self._network.into(), program("bwrap"), *self._options(), "--"]

    def _options(self) -> Iterator[str]:
        # The kernel ends it when the tests are gone, however they ended.
        yield from ("--die-with-parent", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts")
        user, _, group = self.service.told.get("user", "65534:65534").partition(":")
        yield from ("--uid", user, "--gid", group, "--clearenv")
        for folder in self.service.told.get("tmpfs", []):
            yield from ("--tmpfs", folder.partition(":")[0])
        yield from self._machine()
        for mount in self.service.mounts:
            yield from ("--ro-bind" if mount.read_only else "--bind", str(self._source(mount)), mount.target)
        for name, value in self.service.environment.items():
            yield from ("--setenv", name, value)
        path = f"{PROGRAMS}:{Path(sys.prefix, 'bin')}:/usr/local/bin:/usr/bin:/bin"
        yield from ("--setenv", "PATH", path, "--chdir", "/")
        if self.service.told.get("read_only"):
            yield from ("--remount-ro", "/")

    def _machine(self) -> Iterator[str]:
        """What stands in for an image: programs, and this project's Python."""
        yield from ("--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev")
        for name in ("bin", "sbin", "lib", "lib64"):
            if Path("/", name).is_symlink():
                yield from ("--symlink", f"usr/{name}", f"/{name}")
        package = (ROOT / "extproc").resolve()
        for folder in dict.fromkeys([Path(sys.base_prefix), Path(sys.prefix), Path(sys.prefix).resolve(), package]):
            if not folder.is_relative_to("/usr"):
                yield from ("--ro-bind", str(folder), str(folder))
        yield from ("--ro-bind", str(find_envoy()), f"{PROGRAMS}/envoy", "--ro-bind", str(self._hosts), "/etc/hosts")

    def _source(self, mount: Mount) -> Path:
        if not mount.named:
            return Path(mount.source)
        folder = self._volumes / mount.source
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder
