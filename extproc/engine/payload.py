"""What a call takes along: the client's own body, a response's, or one that was made."""

from __future__ import annotations

from dataclasses import dataclass

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Payload:
    """A body with its content type. ``own``: the client's, untouched. ``made``: by a template or ``auto``, so POST."""

    body: bytes | None
    content_type: str | None
    own: bool = False
    made: bool = False
