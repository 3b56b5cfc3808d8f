"""Where spans go, as the environment says it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from extproc.otel import tracing

if TYPE_CHECKING:
    from extproc.otel import Tracing

HELP = """\
traces:
  go where OTEL_EXPORTER_OTLP_ENDPOINT says, http://HOST:4317 (gRPC) or http://HOST:4318 (HTTP); without it there are none.
  OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and the other OTEL_* variables work as everywhere.
"""


def told_tracing() -> Tracing | None:
    """Return what OTEL_* variables say, and tell what of it is passed over."""
    return tracing(os.environ, lambda text: print(f"extproc: {text}", file=sys.stderr))
