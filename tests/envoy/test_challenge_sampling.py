"""Who is sampled: by chance as often as asked, by a key always the same, as ``extproc explain`` says."""

from __future__ import annotations

import json
import math
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.envoy.challenged import Watched, one_of, post, post_many, told
from tests.envoy.running import EXTPROC
from tests.kit import client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.envoy.models import Models
    from tests.envoy.running import Running

pytestmark = pytest.mark.envoy

GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: {name}}}
spec:
  match: [{{path: /{name}}}]
  models:
    champ: {{url: "http://<drawn-champ>/p"}}
    rival: {{url: "http://<drawn-rival>/p"}}
    other: {{url: "http://<drawn-other>/p"}}
  nodes:
    root:
      challenge:
        champion: champ
        challengers:
          - {{name: rival, to: rival, sample: {rival}}}
          - {{name: second, to: other, sample: {second}}}
"""
NEVER = "0.000000001"
HEADER = "by: 'request.headers[\"x-user\"]'"
BODY = "by: request.body.user"
GRAPHS = "\n---\n".join(
    [
        GRAPH.format(name="drawn", rival="25%", second="0.5"),
        GRAPH.format(name="drawnnever", rival=NEVER, second=NEVER),
        GRAPH.format(name="drawnby", rival=f"40%, {HEADER}", second=f"40%, {HEADER}"),
        GRAPH.format(name="drawnwider", rival=f"70%, {HEADER}", second=f"10%, {HEADER}").replace("name: second, to: other", "name: rival2, to: other"),
        GRAPH.format(name="drawnbody", rival=f"40%, {BODY}", second=NEVER),
    ]
)  # fmt: skip
OK = {"json": {"predictions": [1]}}
TOLD = told(drawn_champ=OK, drawn_rival=OK, drawn_other=OK)
STUBS = ("drawn-champ", "drawn-rival", "drawn-other")
SENT = r"^http\.ingress\.ext_proc\.(fast|body)\.stream_msgs_sent$"
USERS = [f"user-{n}" for n in range(40)]


@pytest.fixture(autouse=True)
def _forgotten(models: Models):
    """Each test sees its own requests only."""
    for name in STUBS:
        models[name].forget()


def messages(system: Running) -> int:
    """How many messages Envoy has sent to processors."""
    return sum(system.stats(SENT).values())


def explained(folder: Path, graph: str, models: Models, *words: str) -> dict[str, bool]:
    """Which challengers see a request, as the command says."""
    (folder / "graphs.yaml").write_text(models.fill(graph))
    said = subprocess.run(
        [EXTPROC, "explain", str(folder / "graphs.yaml"), "--json", *words], check=True, capture_output=True
    )
    challenge = json.loads(said.stdout)
    return {one["name"]: one["sampled"] for one in challenge["challengers"]}


async def test_by_chance(system: Running, models: Models):
    """As many as asked for, within four standard deviations, for each challenger by itself; all others are unsampled."""
    watched = Watched(system, "drawn")
    times = 1000
    answers = await post_many(system, "/drawn", times, TOLD)
    assert {answer.status for answer in answers} == {200}
    both = 0
    for name, stub, share in (("rival", "drawn-rival", 0.25), ("second", "drawn-other", 0.5)):
        counts = await watched.counts(times, name)
        assert counts.keys() == {"paired", "unsampled"}
        assert abs(counts["paired"] - times * share) < 4 * math.sqrt(times * share * (1 - share))
        assert len(models[stub].requests) == counts["paired"]
        both += counts["paired"]
    report = one_of(watched.report())
    assert report["sampling"]["expected"] == 0.25
    assert not report["sampling"]["mismatch"]
