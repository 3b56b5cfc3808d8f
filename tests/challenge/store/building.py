"""What the tests of the store are built from: windows, records, a clock that is set, a join that is told."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import msgspec

from extproc.challenge.evidence import PAIRED, Evidence, Record, Truth, Window
from extproc.challenge.histogram import GRAINS
from extproc.challenge.store.limits import Limits
from extproc.challenge.store.store import Store

if TYPE_CHECKING:
    from extproc.challenge.store.standing import Standing
    from extproc.challenge.truth import Feedback

CHALLENGE = "c1a2b3c4"
GBM = "gbm"
NOON = 1_750_000_000.0


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    now: float = NOON

    def __call__(self):
        return self.now


@dataclass
class Opener:
    """Opens stores of one database."""

    url: str
    clock: Clock = field(default_factory=Clock)
    stores: list[Store] = field(default_factory=list)

    def __call__(self, writer="w1", join=None, **limits):
        """A store with these limits."""
        store = Store.open(self.url, writer, Limits(**limits), self.clock, join or joined)
        self.stores.append(store)
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_):
        for store in self.stores:
            store.close()


def joined(record: Record, feedback: Feedback) -> Truth:
    """A join of the tests' own: the champion is right where it said the label, and rewards add up."""
    right = json.loads(bytes(record.champion)) == [feedback.label]
    truth = Truth(joined=1)
    if feedback.label is not msgspec.UNSET:
        truth.champion_accuracy = {GRAINS if right else 0: 1}
    if feedback.reward is not None:
        truth.rewarded, truth.reward_sum = 1, feedback.reward
    return truth


def record(request: str = "r1", agreement: float = 1.0, **fields: Any) -> Record:
    """A pair of one number."""
    said = {"champion": msgspec.Raw(b"[1]"), "challenger_said": msgspec.Raw(b"[2]")}
    whole = {"challenger": GBM, "segment": "", "at": NOON, "kind": "number", "tolerance": 0.0, **said, **fields}
    return Record(request=request, agreement=agreement, **whole)


def window(paired: int = 0, eligible: int | None = None, *records: Record, **fields: Any) -> Window:
    """A window of one challenger and one segment, unless it is told."""
    evidence = {GBM: {"": Evidence(outcomes={PAIRED: paired})}} if paired else {}
    whole = {
        "challenge": CHALLENGE,
        "graph": "fraud",
        "challengers": (GBM,),
        "evidence": evidence,
        "records": list(records),
        **fields,
    }
    return Window(eligible=paired if eligible is None else eligible, **whole)


def recorded(*records: Record) -> Window:
    """A window of nothing but records."""
    return window(0, 0, *records)


def outcomes(standing: Standing, challenger: str = GBM) -> dict[str, int]:
    """A challenger's outcomes over all segments."""
    total: dict[str, int] = {}
    for one in standing.evidence.get(challenger, {}).values():
        for outcome, times in one.outcomes.items():
            total[outcome] = total.get(outcome, 0) + times
    return total


def truth(standing: Standing, challenger: str = GBM, segment: str = "") -> Truth:
    """What labels say of a challenger in a segment."""
    return standing.evidence.get(challenger, {}).get(segment, Evidence()).truth


def adds_up(standing: Standing) -> bool:
    """Whether each challenger's outcomes and what is pending are what was eligible."""
    return all(
        sum(outcomes(standing, challenger).values()) + pending == standing.eligible
        for challenger, pending in standing.pending.items()
    )
