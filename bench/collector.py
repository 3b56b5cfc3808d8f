"""A collector that takes spans and throws them away, over gRPC: what exporting costs is then the sender's alone.

``python bench/collector.py`` prints ``{"port": N}`` and exits when stdin closes.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc


class _Anything(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every call with an empty message."""

    def service(self, _details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")


def main() -> None:
    """Serve until stdin closes."""
    server = grpc.server(ThreadPoolExecutor(2), handlers=(_Anything(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(json.dumps({"port": port}), flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
