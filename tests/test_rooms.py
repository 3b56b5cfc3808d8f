"""The import rules of docs' design: a room imports only rooms above it, and only the libraries it owns."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[1] / "extproc"
EVERYTHING = ("*",)
# From the ground up: each room may import those above it in this table, and these libraries.
ROOMS: dict[str, tuple[str, ...]] = {
    "expr": ("re2",),
    "graph": ("msgspec", "yaml"),
    "protocol": ("msgspec",),
    "plan": ("msgspec",),
    "engine": ("msgspec",),
    "wire": ("google.protobuf",),
    "exchange": ("google.protobuf",),
    "challenge": ("msgspec", "numpy", "rapidfuzz", "scipy", "sqlalchemy"),
    "server": ("grpc", "hpack"),
    "calls": ("httptools",),
    "envoy": ("envoy_data_plane", "aiohttp"),
    "telemetry": ("google.protobuf", "grpc", "msgspec", "opentelemetry", "prometheus_client"),
    "admin": ("aiohttp", "msgspec", "prometheus_client"),
    "supervisor": EVERYTHING,
}
# They put the rooms together, and no room knows them.
ROOF = ("demo", "commands", "cli")
# Every room stands on them; they import nothing but the standard library.
GROUND = ("", "errors", "headers", "otel")
# What one file may import beyond its room.
EXCEPTIONS = {"envoy/build.py": ("betterproto2",)}
# Rooms without input and output, and without time, chance and ids but through seams.
PURE = ("expr", "protocol", "plan", "engine", "wire", "exchange")
IMPURE = frozenset(
    [
        "asyncio",
        "concurrent",
        "ctypes",
        "datetime",
        "fcntl",
        "http",
        "io",
        "logging",
        "mmap",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "socket",
        "socketserver",
        "sqlite3",
        "ssl",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib.request",
        "uuid",
    ]
)
AWAITING = {"engine": {"asyncio"}}  # the engine is async; its clock is a seam all the same


@dataclass(frozen=True)
class Import:
    """A module that a file imports, and where."""

    module: str
    line: int


def imports(source: str, package: str) -> Iterator[Import]:
    """Every import of a file, those in functions and under TYPE_CHECKING too; ``package`` is the dotted folder."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (Import(alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                parents = package.split(".")
                above = ".".join(parents[: len(parents) - level + 1]) if level else ""
                origin = ".".join(part for part in (above, module) if part)
                yield from (Import(f"{origin}.{alias.name}", node.lineno) for alias in names)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield Import(name, node.lineno)


def violations(file: str, source: str) -> list[str]:
    """What a file of the package imports though its room may not; ``file`` like ``engine/decide.py``."""
    room = file.split("/", maxsplit=1)[0].removesuffix(".py")
    if room == "__init__":
        room = ""
    if room not in (*ROOMS, *ROOF, *GROUND):
        return [f"{file}: the room {room} is not in the table"]
    package = ".".join(["extproc", *file.split("/")[:-1]])
    found = ((one, refusal(file, room, one.module)) for one in imports(source, package))
    return [f"{file}:{one.line}: {why}" for one, why in found if why]


def refusal(file: str, room: str, module: str) -> str | None:
    """Why a room may not import a module, None where it may."""
    top, _, rest = module.partition(".")
    if top == "extproc":
        return refused_room(room, rest.partition(".")[0])
    if top in sys.stdlib_module_names:
        return refused_stdlib(room, module)
    libraries = (*ROOMS.get(room, EVERYTHING if room in ROOF else ()), *EXCEPTIONS.get(file, ()))
    if libraries[:1] == EVERYTHING or any(within(module, library) for library in libraries):
        return None
    return f"{room or 'extproc'} may not import the library {module}"


def refused_room(room: str, other: str) -> str | None:
    """Why a room may not import another."""
    if other == room or room in ROOF or (other not in (*ROOMS, *ROOF) and room not in GROUND):
        return None
    if room in GROUND:
        return None if other not in (*ROOMS, *ROOF) else f"{room or 'extproc'} may not import the room {other}"
    order = list(ROOMS)
    if other in ROOF or order.index(other) > order.index(room):
        return f"{room} may not import the room {other}, which is below it"
    return None


def refused_stdlib(room: str, module: str) -> str | None:
    """Why a pure room may not import a part of the standard library."""
    if room not in PURE:
        return None
    impure = any(within(module, name) for name in IMPURE - AWAITING.get(room, set()))
    return f"{room} is pure and may not import {module}" if impure else None


def within(module: str, name: str) -> bool:
    return module == name or module.startswith(f"{name}.")


FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def test_there_is_something_to_check():
    """The package is where this test looks for it."""
    assert {"errors.py", "engine/request.py", "envoy/build.py"} <= set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_room(file):
    """A file imports only what its room may."""
    assert violations(file, (PACKAGE / file).read_text(encoding="utf-8")) == []


ALLOWED = [
    ("engine/decide.py", "from extproc.plan.plan import Call"),
    ("engine/decide.py", "from extproc.errors import BadRequest\nimport msgspec, functools"),
    ("engine/run.py", "import asyncio"),
    ("engine/a.py", "from .b import c\nfrom . import d\nfrom ..plan import e"),
    ("expr/patterns.py", "import re2"),
    ("expr/a.py", "from extproc.headers import X\nfrom extproc import errors"),
    ("envoy/build.py", "from betterproto2 import Casing"),
    ("supervisor/system.py", "import anything\nfrom extproc.admin.app import AdminServer"),
    ("cli.py", "from importlib import import_module\nimport_module('extproc.commands.up')\nimport rich"),
    ("demo/run.py", "import sklearn\nfrom extproc.commands.up import run"),
    ("errors.py", "import enum"),
]
PLANTED = [
    ("engine/decide.py", "import grpc", "library grpc"),
    ("engine/decide.py", "import aiohttp.web", "library aiohttp.web"),
    ("engine/decide.py", "from extproc.exchange.exchange import Exchange", "room exchange"),
    ("engine/decide.py", "from extproc import exchange", "room exchange"),
    ("engine/decide.py", "import extproc.server.listen as x", "room server"),
    ("engine/decide.py", "from ..exchange import replies", "room exchange"),
    ("engine/decide.py", "from .. import exchange", "room exchange"),
    ("engine/sub/deep.py", "from ...exchange import replies", "room exchange"),
    ("engine/decide.py", "def f():\n    import grpc", "library grpc"),
    ("engine/decide.py", "if TYPE_CHECKING:\n    from extproc.server.listen import Server", "room server"),
    ("engine/decide.py", "try:\n    import grpc\nexcept ImportError: pass", "library grpc"),
    ("engine/decide.py", "from importlib import import_module\nimport_module('grpc')", "library grpc"),
    ("engine/decide.py", "import importlib\nimportlib.import_module('extproc.server.listen')", "room server"),
    ("engine/decide.py", "__import__('grpc')", "library grpc"),
    ("engine/decide.py", "import time", "may not import time"),
    ("engine/decide.py", "from random import random", "may not import random.random"),
    ("plan/a.py", "import asyncio", "may not import asyncio"),
    ("plan/a.py", "from extproc.engine.seams import Recorder", "room engine"),
    ("exchange/a.py", "from urllib import request", "may not import urllib.request"),
    ("expr/a.py", "import msgspec", "library msgspec"),
    ("expr/a.py", "from extproc.graph import Graph", "room graph"),
    ("wire/a.py", "from google.api import x", "library google.api.x"),
    ("envoy/routes.py", "import betterproto2", "library betterproto2"),
    ("envoy/routes.py", "from extproc.supervisor.system import System", "room supervisor"),
    ("supervisor/a.py", "from extproc.commands.up import run", "room commands"),
    ("graph/a.py", "from extproc.demo.models import x", "room demo"),
    ("errors.py", "from extproc.expr import Program", "room expr"),
    ("errors.py", "import msgspec", "library msgspec"),
    ("__init__.py", "from extproc.cli import main", "room cli"),
    ("helpers/a.py", "", "not in the table"),
    ("utils.py", "", "not in the table"),
]


@pytest.mark.parametrize(("file", "source"), ALLOWED)
def test_the_checker_allows(file, source):
    """What a room may import is not complained about."""
    assert violations(file, source) == []


@pytest.mark.parametrize(("file", "source", "complaint"), PLANTED)
def test_the_checker_sees_a_planted_violation(file, source, complaint):
    """A forbidden import is found wherever and however it is written, and named with its line."""
    found = violations(file, source)
    assert any(complaint in one for one in found), found
