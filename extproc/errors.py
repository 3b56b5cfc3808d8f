"""The one tree of errors, by blame: the graph's author, the client, a model, Envoy, us."""


class ExtprocError(Exception):
    """Whatever this project raises on purpose."""


class GraphError(ExtprocError):
    """The graph's author is to blame; the message names file, line and column where they are known."""


class BadRequest(ExtprocError):  # noqa: N818 - the field's own word for it
    """The client is to blame: the request is answered with ``status`` and the error code ``code``.

    ``node`` is the node at which that was found, where one is known.
    """

    def __init__(self, status: int, code: str, message: str, node: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.node = node


class UpstreamError(ExtprocError):
    """A model is to blame: it could not be reached, broke off, or answered what is no answer."""


class ProtocolError(ExtprocError):
    """Envoy is to blame: it said something the ext_proc conversation does not allow at that point."""


class StartError(ExtprocError):
    """A process could not be started or did not become ready; the message says what to do."""
