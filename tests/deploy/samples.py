"""The sample graphs' own requests: the first curl line of each, and what comes of it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

import yaml

from tests.deploy.compose import ROOT

# By graph: the status, and x-extproc-route where one way is to be taken.
EXPECTED: dict[str, tuple[int, set[str | None]]] = {
    "cancer-canary": (200, {"root=stable,cancer-logistic"}),
    "cancer-chain": (200, {"cancer-scaler,cancer-logistic-scaled"}),
    "cancer-challenge": (200, {"cancer-logistic"}),
    "cancer-vote": (200, {"cancer-logistic,cancer-boosting,cancer-forest"}),
    "digits-cascade": (200, {"digits-small-proba,digits-large-proba"}),
    "digits-switch": (200, {"root=gold,digits-large"}),
    "maintenance": (410, {None}),
    "wine-ab": (200, {"root=a,wine-a", "root=b,wine-b"}),
    "wine-fallback": (200, {"wine-next!connect,wine-a"}),
}


@dataclass(frozen=True)
class Request:
    """What a curl line sends."""

    path: str
    body: str
    headers: dict[str, str]


def requests() -> dict[str, Request]:
    """The request of each sample graph."""
    return {file.stem: _request(file.read_text()) for file in sorted((ROOT / "graphs").glob("*.yaml"))}


def _request(text: str) -> Request:
    words = shlex.split(next(line for line in text.splitlines() if line.startswith("# curl ")))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    (url,) = [word for word in words if word.startswith("http")]
    return Request(urlsplit(url).path, words[words.index("-d") + 1], headers)


def sub_called(graph: str) -> bool:
    """Whether a graph has processors make calls."""
    nodes = yaml.safe_load((ROOT / "graphs" / f"{graph}.yaml").read_text())["spec"]["nodes"]
    return not {kind for node in nodes.values() for kind in node} <= {"split", "switch", "respond"}
