"""The graph language as types: one Struct for each object of the document, camelCase in the file.

Durations are seconds (float), sizes are bytes (int), shares are fractions of one (float): the loader turns the texts
``250ms``, ``8MiB`` and ``25%`` into them. Expressions and templates stay as they were written; ``plan/`` compiles them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

NAME_PATTERN = r"^[A-Za-z0-9][-._A-Za-z0-9]{0,62}$"
GRAPH_NAME_PATTERN = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"


class Text(msgspec.Struct, frozen=True):
    """Marks a scalar that is written as text and means something else: how the loader reads it."""

    kind: Literal[
        "duration",
        "size",
        "share",
        "weight",
        "number",
        "count",
        "status",
        "name",
        "graph_name",
        "expression",
        "template",
        "url",
        "path",
        "host",
        "match_host",
        "header_name",
        "header_value",
    ]


Duration: TypeAlias = Annotated[float, Text("duration")]
Size: TypeAlias = Annotated[int, Text("size")]
Share: TypeAlias = Annotated[float, Text("share")]
Name: TypeAlias = Annotated[str, Text("name")]
GraphName: TypeAlias = Annotated[str, Text("graph_name")]
Expression: TypeAlias = Annotated[str, Text("expression")]
Template: TypeAlias = Annotated[Any, Text("template")]
Url: TypeAlias = Annotated[str, Text("url")]
Weight: TypeAlias = Annotated[float, Text("weight")]
Number: TypeAlias = Annotated[float, Text("number")]
Count: TypeAlias = Annotated[int, Text("count")]
Status: TypeAlias = Annotated[int, Text("status")]
HttpPath: TypeAlias = Annotated[str, Text("path")]
Host: TypeAlias = Annotated[str, Text("host")]
MatchHost: TypeAlias = Annotated[str, Text("match_host")]
HeaderName: TypeAlias = Annotated[str, Text("header_name")]
HeaderValue: TypeAlias = Annotated[str, Text("header_value")]

Cause: TypeAlias = Literal["connect", "reset", "timeout", "5xx", "429"]


class _Object(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An object of the document."""


class Match(_Object, frozen=True, kw_only=True):
    """Which requests enter the graph; what is None is not asked. Hosts and header names are in lower case."""

    host: MatchHost | None = None
    path: HttpPath | None = None
    prefix: HttpPath | None = None
    headers: dict[HeaderName, HeaderValue] = msgspec.field(default_factory=dict)


class Tls(_Object, frozen=True, kw_only=True):
    """How to speak TLS with an https model; files are paths."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    sni: str | None = None
    insecure: bool = False


class Retries(_Object, frozen=True, kw_only=True):
    """How often and when to try again; ``attempts`` counts the first one."""

    attempts: Count = 2
    on: tuple[Cause, ...] | None = None
    backoff: Duration = 0.025


class Hedge(_Object, frozen=True, kw_only=True):
    """A second attempt when the first has not answered after this long."""

    after: Duration


class Health(_Object, frozen=True, kw_only=True):
    """An active health check."""

    path: HttpPath
    interval: Duration = 5.0


class HeaderSource(_Object, frozen=True, kw_only=True):
    """Where a header's value comes from, when it does not stand in the graph: one of both."""

    env: str | None = None
    file: str | None = None


class HeaderChanges(_Object, frozen=True, kw_only=True):
    """Headers set and removed on the way to a model."""

    set: dict[HeaderName, HeaderValue | HeaderSource] = msgspec.field(default_factory=dict)
    remove: tuple[HeaderName, ...] = ()


class Model(_Object, frozen=True, kw_only=True):
    """Where a model is and how it is called: exactly one of ``url``, ``urls``, ``cluster``."""

    url: Url | None = None
    urls: tuple[Url, ...] = ()
    cluster: str | None = None
    path: HttpPath | None = None
    host: Host | None = None
    protocol: Literal["auto", "v1", "v2", "openai", "json"] = "auto"
    http2: bool = False
    tls: Tls | None = None
    timeout: Duration | None = None
    retries: Retries | Count | None = None
    hedge: Hedge | None = None
    concurrency: Count = 1024
    headers: HeaderChanges = HeaderChanges()
    health: Health | None = None


class SplitRoute(_Object, frozen=True, kw_only=True):
    """A route of a split, with its weight."""

    to: Target
    weight: Weight
    name: Name | None = None


class Split(_Object, frozen=True, kw_only=True):
    """One route, by weight; sticky with ``by``."""

    routes: tuple[SplitRoute, ...]
    by: Expression | None = None
    seed: str | None = None


class Case(_Object, frozen=True, kw_only=True):
    """A case of a switch."""

    when: Expression
    to: Target
    name: Name | None = None


class Switch(_Object, frozen=True, kw_only=True):
    """The first case whose condition holds."""

    cases: tuple[Case, ...]
    default: Target | None = None


class OnErrorTo(_Object, frozen=True, kw_only=True):
    """Where a failed step goes instead."""

    to: Target


class Step(_Object, frozen=True, kw_only=True):
    """A step of a chain."""

    name: Name
    to: Target
    input: Template = msgspec.UNSET
    when: Expression | None = None
    on_error: Literal["fail", "skip"] | OnErrorTo = "fail"


class Chain(_Object, frozen=True, kw_only=True):
    """Steps, one after the other or side by side where they do not need each other."""

    steps: tuple[Step, ...]
    output: Template = msgspec.UNSET


class Member(_Object, frozen=True, kw_only=True):
    """A member of an ensemble."""

    name: Name
    to: Target
    weight: Weight = 1.0
    input: Template = msgspec.UNSET


class Ensemble(_Object, frozen=True, kw_only=True):
    """Members called at the same time, their answers combined."""

    members: tuple[Member, ...]
    require: Count | None = None
    wait: Literal["all", "quorum"] = "all"
    combine: Literal["collect", "mean", "vote", "first"] | None = None
    output: Template = msgspec.UNSET


class FallbackRoute(_Object, frozen=True, kw_only=True):
    """A route of a fallback."""

    to: Target
    timeout: Duration | None = None


class Fallback(_Object, frozen=True, kw_only=True):
    """The next route when one fails in a listed way."""

    routes: tuple[FallbackRoute, ...]
    on: tuple[Cause, ...] = ("connect", "reset", "timeout", "5xx", "429")


class CascadeRoute(_Object, frozen=True, kw_only=True):
    """A route of a cascade."""

    to: Target
    accept: Expression | None = None


class Cascade(_Object, frozen=True, kw_only=True):
    """The first 2xx response that is accepted."""

    routes: tuple[CascadeRoute, ...]


class Challenger(_Object, frozen=True, kw_only=True):
    """A challenger and the share of requests it sees."""

    name: Name
    to: Target
    sample: Share = 1.0
    by: Expression | None = None


class Compare(_Object, frozen=True, kw_only=True):
    """What is compared, and when two values agree."""

    value: Expression | None = None
    kind: Literal["number", "label", "vector", "text"] | None = None
    tolerance: Number | None = None
    by: Expression | None = None


class AtLeast(_Object, frozen=True, kw_only=True):
    """A guardrail with a lower bound."""

    min: Share


class AtMost(_Object, frozen=True, kw_only=True):
    """A guardrail with an upper bound."""

    max: Share


class LatencyRail(_Object, frozen=True, kw_only=True):
    """The challenger's 95th percentile against the champion's."""

    p95_ratio: Number = msgspec.field(name="p95Ratio")


class TruthRail(_Object, frozen=True, kw_only=True):
    """The challenger's gain over the champion against the ground truth."""

    metric: Literal["accuracy", "brier", "error"]
    min_gain: Number = 0.0


class Guardrails(_Object, frozen=True, kw_only=True):
    """The verdict: every one must hold."""

    agreement: AtLeast | None = None
    errors: AtMost | None = None
    latency: LatencyRail | None = None
    truth: TruthRail | None = None


class Challenge(_Object, frozen=True, kw_only=True):
    """A champion, whose answer the client gets, and challengers, which are compared with it."""

    champion: Target
    challengers: tuple[Challenger, ...]
    compare: Compare = Compare()
    confidence: Share = 0.95
    guardrails: Guardrails = Guardrails()
    noise: bool = False


class Respond(_Object, frozen=True, kw_only=True):
    """An answer without a model."""

    status: Status
    headers: dict[HeaderName, HeaderValue] = msgspec.field(default_factory=dict)
    body: Template = msgspec.UNSET


class Node(_Object, frozen=True, kw_only=True):
    """A node: exactly one of its fields is there, and names its kind."""

    split: Split | None = None
    switch: Switch | None = None
    chain: Chain | None = None
    ensemble: Ensemble | None = None
    fallback: Fallback | None = None
    cascade: Cascade | None = None
    challenge: Challenge | None = None
    respond: Respond | None = None

    @property
    def body(self) -> Kind:
        """The one field that is there."""
        found: Kind | None = (
            self.split
            or self.switch
            or self.chain
            or self.ensemble
            or self.fallback
            or self.cascade
            or self.challenge
            or self.respond
        )
        if found is None:
            raise ValueError("a node without a kind: the loader refuses it")
        return found


Target: TypeAlias = str | Node
Kind: TypeAlias = Split | Switch | Chain | Ensemble | Fallback | Cascade | Challenge | Respond
KIND_NAMES = ("split", "switch", "chain", "ensemble", "fallback", "cascade", "challenge", "respond")


class Metadata(_Object, frozen=True, kw_only=True):
    """The graph's name."""

    name: GraphName


class Spec(_Object, frozen=True, kw_only=True):
    """What the graph is."""

    match: tuple[Match, ...]
    nodes: dict[Name, Node]
    models: dict[Name, Model] = msgspec.field(default_factory=dict)
    timeout: Duration = 30.0
    max_body: Size = 1024 * 1024
    when_away: Literal["open", "closed"] | None = None


class InferenceGraph(_Object, frozen=True, kw_only=True):
    """One document of the graph language."""

    api_version: Literal["extproc.dev/v1"]
    kind: Literal["InferenceGraph"]
    metadata: Metadata
    spec: Spec
