"""maintenance: an answer without a model."""

from __future__ import annotations

from typing import Final

from extproc.demo.scene import Ask, Expected, Request, Scene

PATH: Final = "/v1/models/cancer-2019:predict"
WHY = (
    "No model was called, and none needs to be up: the graph's respond node answered. "
    "Its body is a template; ${request.path} was filled in."
)


def scene() -> Scene:
    """The retired path."""
    return Scene(
        graph="maintenance",
        title="A retired model",
        about="Old paths are told where to go, without calling anything.",
        steps=(
            Ask(
                "a forgotten client still asks the model of 2019",
                Request(PATH, {"instances": []}),
                WHY,
                Expected(
                    status=410,
                    says=f"{PATH} was retired; use /v1/models/cancer:predict",
                    headers={"link": '</v1/models/cancer:predict>; rel="successor-version"'},
                ),
            ),
        ),
    )
