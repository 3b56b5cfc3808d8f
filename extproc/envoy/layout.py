"""Where an Envoy listens, where its processors are, and where its files lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from extproc.otel import Tracing

# More than the processor's own default limits of a stream's life; one ext_proc stream is one request.
PROCESSOR_MAX_REQUESTS = 100_000
# A client that sends nothing and reads nothing for this long is cut off; DESIGN.md's bound of a begun body.
IDLE_TIMEOUT = 300.0
# Message timeout of graphs that fail open and read headers only: such a decision takes well under a millisecond, so
# half a second is a processor that hangs.
FAST_TIMEOUT = 0.5
# Connections one Envoy accepts at the ingress before it refuses further ones.
MAX_CONNECTIONS = 50_000
# What Envoy holds of one client's connection; its own advice for edge proxies. A route's body limit only ever raises
# this, so that with Envoy's default of 1 MiB every smaller maxBody would let 1 MiB pass.
CONNECTION_BUFFER = 32 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """A Unix socket (``path``) or a TCP address."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        """Say it the way ``--listen`` reads it."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


# How often Envoy sums its histograms up, which its admin page shows only then; 5 s by default. What the admin address shows
# is at most a second old.
STATS_FLUSH = 1.0
# Envoy's threads send the spans they hold after so many, or after this time: by default after 5, and every batch is a call.
SPANS_AT_ONCE = 256
SPANS_FLUSH = 1.0
STANDARD_OUTPUT = "/dev/stdout"  # as the path of an access log


@dataclass(frozen=True, slots=True)
class Layout:
    """All that the configuration of one Envoy needs beyond the graphs.

    ``folder`` is where Envoy finds the files (``cds/``, ``lds/``, ``rds/``): in a container that may be another place
    than where they were written.
    """

    ingress: Address
    admin: Address
    egress: Address
    processors: tuple[Address, ...]
    folder: Path
    access_log: str | None = None
    tracing: Tracing | None = None
