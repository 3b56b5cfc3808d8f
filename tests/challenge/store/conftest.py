"""Every behaviour is shown on both databases: ``url`` is an empty one, of SQLite first and of PostgreSQL second."""

from pathlib import Path

import pytest

from tests.challenge.store.building import Opener
from tests.kit.postgres import Server, postgres_server


@pytest.fixture(scope="session")
def server():
    """The PostgreSQL of all these tests."""
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path):
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/challenge.db"
    server: Server = request.getfixturevalue("server")
    return server.empty()


@pytest.fixture
def opened(url: str):
    """Opens stores of the database, which are closed in the end."""
    with Opener(url) as opener:
        yield opener


@pytest.fixture
def shared(server: Server):
    """The same on PostgreSQL alone, for what several machines do."""
    with Opener(server.empty()) as opener:
        yield opener
