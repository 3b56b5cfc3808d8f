"""No graph: what a request gets that nothing matches."""

from __future__ import annotations

from extproc.demo.scene import Ask, Expected, Request, Scene

WHY = (
    "Envoy answered by itself, without asking the processor. "
    "Errors are always JSON, and carry the request's id to look for in the logs."
)


def scene() -> Scene:
    """A path that belongs to no graph."""
    return Scene(
        graph=None,
        title="A request that no graph matches",
        about="Every path that no graph names is answered 404.",
        steps=(
            Ask(
                "there is no model of irises here",
                Request("/v1/models/iris:predict", {"instances": [[5.1, 3.5, 1.4, 0.2]]}),
                WHY,
                Expected(status=404, says='"no_graph"'),
            ),
        ),
    )
