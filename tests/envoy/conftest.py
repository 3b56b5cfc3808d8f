"""One running system for all tests that share it, on the graphs of all modules that were collected."""

from pathlib import Path

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running, running

HERE = Path(__file__).parent
# What models are told by ``headers: {set: {NAME: {env: ...}}}``.
ENVIRONMENT = {"EXTPROC_TEST_SECRET": "from the environment"}


@pytest.fixture(scope="session")
def models():
    """The stubs that graphs name."""
    with Models() as started:
        yield started


@pytest.fixture(scope="session")
def system(request: pytest.FixtureRequest, models: Models):
    """A system with two workers on the ``GRAPHS`` of every module; in the end nothing may have gone wrong in it."""
    here = (item for item in request.session.items if isinstance(item, pytest.Function) and item.path.parent == HERE)
    modules = dict.fromkeys(item.module for item in here)
    graphs = "\n---\n".join(module.GRAPHS for module in modules if hasattr(module, "GRAPHS"))
    with running(models.fill(graphs), workers=2, environment=ENVIRONMENT) as started:
        yield started
        assert_well(started)


def assert_well(system: Running) -> None:
    """Envoy counted nothing that must not happen, and no process had to complain."""
    assert system.faults() == {}
    assert system.said() == ""
