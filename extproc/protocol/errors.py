"""What a body is when it holds no predictions that could be read."""

from __future__ import annotations

from extproc.errors import UpstreamError


class NotPredictions(UpstreamError):  # noqa: N818 - it says what the body is
    """A response predicts nothing that this use of it can read; the message never holds anything of the body.

    ``member`` is the index, in the order given, of the ensemble's member to blame, where one is.
    """

    def __init__(self, message: str, member: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.member = member

    def of(self, member: int) -> NotPredictions:
        """The same error with the member to blame."""
        return NotPredictions(self.message, member)
