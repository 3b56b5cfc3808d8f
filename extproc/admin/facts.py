"""What is known of a running system without counting: its version, and the graphs in force."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING

from extproc.admin.metrics import BUILD_INFO, GRAPH_INFO
from extproc.telemetry.counters import GAUGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.plan.plan import Plan
    from extproc.telemetry.counters import Key


def facts(plans: Sequence[Plan]) -> Counter[Key]:
    """Return them in the keys of counts; what may be nothing is there as nothing."""
    known: Counter[Key] = Counter({(BUILD_INFO, version("extproc")): 1})
    known.update({(GRAPH_INFO, plan.graph, plan.id.partition("@")[2]): 1 for plan in plans})
    known.update({(gauge,): 0 for gauge in GAUGES})
    return known
