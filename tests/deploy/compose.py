"""docker-compose.yml and the Dockerfile, as Docker reads them: files put together, variables filled in."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MAIN = "docker-compose.yml"
SAMPLING = "deploy/sampling.yml"


@functools.cache
def command() -> tuple[str, ...]:
    """Docker's compose, of either generation. ``config`` needs no engine."""
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ("docker", "compose")
    raise AssertionError("no docker-compose: these tests have it check the files; apt-get install docker-compose")


@functools.cache
def composed(*files: str, token: str = "") -> dict[str, Any]:
    """What compose makes of the files together. It refuses keys that do not exist and values of a wrong type.

    ``token`` is what EXTPROC_ADMIN_TOKEN says where compose is called.
    """
    words = [*command(), *(word for file in files for word in ("--file", file)), "config"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("EXTPROC_", "COMPOSE_"))}
    clean["EXTPROC_ADMIN_TOKEN"] = token
    done = subprocess.run(words, cwd=ROOT, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = yaml.safe_load(done.stdout)
    return told


@dataclass(frozen=True)
class Mount:
    """A folder or file in a container: the host's where ``source`` is a path, else the volume of that name."""

    source: str
    target: str
    read_only: bool

    @property
    def named(self) -> bool:
        """Whether it is a volume."""
        return not self.source.startswith("/")


@dataclass(frozen=True)
class Service:
    """What a container of a service is started with."""

    name: str
    told: dict[str, Any]

    @property
    def image(self) -> str:
        """The image's name, with its tag."""
        image: str = self.told["image"]
        return image

    @property
    def words(self) -> list[str]:
        """The command line: the image's own entrypoint where the service has none."""
        entrypoint = self.told.get("entrypoint")
        if entrypoint is None and "build" in self.told:
            entrypoint = stage(self.told["build"]["target"]).entrypoint
        return [*(entrypoint or []), *self.told.get("command", [])]

    @property
    def environment(self) -> dict[str, str]:
        """The variables: of the image that is built, then of the service."""
        images = stage(self.told["build"]["target"]).environment if "build" in self.told else {}
        return {**images, **(self.told.get("environment") or {})}

    @property
    def mounts(self) -> list[Mount]:
        """The volumes, written shortly by one generation of compose and at length by the other."""
        return [_mount(volume) for volume in self.told.get("volumes", [])]

    @property
    def published(self) -> list[str]:
        """The ports that the host sees, as ``ADDRESS:PORT:PORT``."""
        return [
            port if isinstance(port, str) else f"{port.get('host_ip', '')}:{port['published']}:{port['target']}"
            for port in self.told.get("ports", [])
        ]

    @property
    def needs(self) -> dict[str, str]:
        """The services that are started before it, and what it waits for."""
        return {name: how["condition"] for name, how in (self.told.get("depends_on") or {}).items()}


def _mount(volume: str | dict[str, Any]) -> Mount:
    if isinstance(volume, str):
        source, target, *mode = volume.split(":")
        return Mount(source, target, mode == ["ro"])
    return Mount(volume["source"], volume["target"], volume.get("read_only", False))


def services(*files: str, token: str = "") -> dict[str, Service]:
    """All services by name."""
    return {name: Service(name, told) for name, told in composed(*files, token=token)["services"].items()}


@dataclass(frozen=True)
class Stage:
    """A stage of the Dockerfile, with what it has from those it stands on."""

    base: str
    user: str | None
    entrypoint: list[str]
    environment: dict[str, str]
    instructions: list[tuple[str, str]]


def stages() -> dict[str, Stage]:
    """The Dockerfile's stages by name, in their order."""
    found: dict[str, Stage] = {}
    for block in re.split(r"^(?=FROM )", _joined((ROOT / "Dockerfile").read_text()), flags=re.MULTILINE)[1:]:
        first, *rest = [tuple(line.split(" ", 1)) for line in block.splitlines()]
        base, _, name = first[1].partition(" AS ")
        under = found.get(base, Stage(base, None, [], {}, []))
        said = dict(rest)
        variables = dict(shlex.split(pair)[0].split("=", 1) for pair in shlex.split(said.get("ENV", "")))
        found[name] = Stage(
            under.base,
            said.get("USER", under.user),
            json.loads(said["ENTRYPOINT"]) if "ENTRYPOINT" in said else under.entrypoint,
            {**under.environment, **{key: value for key, value in variables.items() if key != "PATH"}},
            [(word, text) for word, text in rest],
        )
    return found


def stage(name: str) -> Stage:
    """One stage."""
    return stages()[name]


def _joined(text: str) -> str:
    """The Dockerfile without comments and empty lines, one instruction a line."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
