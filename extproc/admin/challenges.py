"""Challenges on the admin address: reports as pages and as JSON, feedback, promotion and rollback."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from aiohttp import web

from extproc.admin.access import refusal
from extproc.errors import BadRequest, ExtprocError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from extproc.challenge.store.feedback import Feedback, Taken

REFRESH = 5  # seconds after which a page that is looked at loads itself again
MAX_FEEDBACK = 8 * 1024 * 1024  # bytes of one POST: some hundred thousand labels
MAX_ITEMS = 10_000  # of one POST: booked in one transaction, within a second
MAX_NESTING = 64  # lists and objects of a label in one another: a tensor has a few, and Python ends at some hundred


class Refused(ExtprocError):  # noqa: N818 - it says what happened
    """What was asked for is not done; the message says why, and how it can be."""


class NotThere(ExtprocError):  # noqa: N818 - it says what is the case
    """There is no such graph, challenge or challenger."""


class Challenges(Protocol):
    """What the pages show and do."""

    async def run(self) -> None:
        """Keep what is shown up to date, until cancelled."""

    async def latest(self) -> Sequence[Mapping[str, Any]]:
        """Return the report of every challenge as a whole, as it was a second ago at most."""
        ...

    async def report(self, graph: str) -> Mapping[str, Any]:
        """Return a challenge's report. Raises NotThere."""
        ...

    async def feedback(self, items: Sequence[Feedback]) -> Taken:
        """Take feedback. Raises BadRequest, StoreError."""
        ...

    async def promote(self, graph: str, challenger: str, *, force: bool) -> Mapping[str, Any]:
        """Make a challenger the champion. Raises NotThere, Refused."""
        ...

    async def roll_back(self, graph: str) -> Mapping[str, Any]:
        """Undo the last promotion. Raises NotThere, Refused."""
        ...


class NoChallenges:
    """What is shown and done where no graph holds a challenge: nothing needs a store then."""

    async def run(self) -> None:
        """Return at once."""

    async def latest(self) -> Sequence[Mapping[str, Any]]:
        """Return no report."""
        return ()

    async def report(self, graph: str) -> Mapping[str, Any]:
        """Raise NotThere."""
        raise NotThere(f"no graph that is loaded holds a challenge, {graph} neither")

    async def feedback(self, items: Sequence[Feedback]) -> Taken:
        """Raise Refused."""
        raise Refused(f"no graph that is loaded holds a challenge: nobody needs {len(items)} labels")

    async def promote(self, graph: str, challenger: str, *, force: bool) -> Mapping[str, Any]:  # noqa: ARG002
        """Raise NotThere."""
        return await self.report(graph)

    async def roll_back(self, graph: str) -> Mapping[str, Any]:
        """Raise NotThere."""
        return await self.report(graph)


class _Said(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Feedback as it is sent."""

    request_id: str
    label: Any = msgspec.UNSET
    reward: float | None = None


class _Promotion(msgspec.Struct, forbid_unknown_fields=True):
    challenger: str
    force: bool = False


_feedback = msgspec.json.Decoder(list[_Said] | _Said)


class ChallengePages:
    """The pages; ``token`` is what lets other machines change something."""

    def __init__(self, challenges: Challenges, token: str | None) -> None:
        self._challenges = challenges
        self._token = token

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/challenges", self._all)
        app.router.add_get("/challenges/{graph}.json", _answering(self._json))
        app.router.add_get("/challenges/{graph}", _answering(self._one))
        app.router.add_post("/challenges/{graph}/promote", _answering(self._promote))
        app.router.add_post("/challenges/{graph}/rollback", _answering(self._roll_back))
        app.router.add_post("/feedback", _answering(self._take_feedback))

    async def _all(self, request: web.Request) -> web.Response:
        reports = await self._challenges.latest()
        if _wants_page(request):
            return _index(reports)
        return json_response({"challenges": [_line(report) for report in reports]})

    async def _json(self, request: web.Request) -> web.Response:
        return json_response(await self._challenges.report(request.match_info["graph"]))

    async def _one(self, request: web.Request) -> web.Response:
        report = await self._challenges.report(request.match_info["graph"])
        if not _wants_page(request):
            return json_response(report)
        refresh = None if request.query.get("refresh") == "0" else REFRESH
        text = await asyncio.to_thread(_page, report, refresh)
        return web.Response(text=text, content_type="text/html", headers={"cache-control": "no-store"})

    async def _promote(self, request: web.Request) -> web.Response:
        self._check(request)
        order = _decoded(await _body(request), msgspec.json.Decoder(_Promotion))
        graph = request.match_info["graph"]
        return json_response(await self._challenges.promote(graph, order.challenger, force=order.force))

    async def _roll_back(self, request: web.Request) -> web.Response:
        self._check(request)
        return json_response(await self._challenges.roll_back(request.match_info["graph"]))

    async def _take_feedback(self, request: web.Request) -> web.Response:
        self._check(request)
        said = _decoded(await _body(request), _feedback)
        items = said if isinstance(said, list) else [said]
        if len(items) > MAX_ITEMS:
            raise BadRequest(413, "body_too_large", f"at most {MAX_ITEMS} at once; send the rest in another request")
        return json_response(msgspec.to_builtins(await self._challenges.feedback([_item(one) for one in items])))

    def _check(self, request: web.Request) -> None:
        why = refusal(request, self._token)
        if why is not None:
            raise BadRequest(403, "forbidden", why)


def json_response(document: object, status: int = 200) -> web.Response:
    """Return a document as JSON."""
    return web.Response(
        body=msgspec.json.encode(document) + b"\n",
        status=status,
        content_type="application/json",
        headers={"cache-control": "no-store"},
    )


def _wants_page(request: web.Request) -> bool:
    """Tell whether the page is wanted: JSON is for whoever asks for it."""
    return "json" not in request.headers.get("accept", "") and request.query.get("format") != "json"


def _page(report: Mapping[str, Any], refresh: int | None) -> str:
    from extproc.challenge.page.page import page

    return page(report, refresh)


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise BadRequest(413, "body_too_large", f"at most {MAX_FEEDBACK} bytes; send less at once") from None


def _decoded(body: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(400, "bad_body", str(error)) from None
    except RecursionError:
        raise BadRequest(400, "bad_body", "lists and objects are too deep in one another") from None


def _nested(value: Any, levels: int) -> bool:
    """Tell whether lists and objects are in one another so many levels deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_nested(one, levels - 1) for one in inner if isinstance(one, (dict, list)))


def _item(said: _Said) -> Feedback:
    if said.label is msgspec.UNSET and said.reward is None:
        raise BadRequest(400, "bad_body", f"feedback of {said.request_id[:64]!r} holds neither a label nor a reward")
    if _nested(said.label, MAX_NESTING):
        raise BadRequest(400, "bad_body", f"the label of {said.request_id[:64]!r} has more than {MAX_NESTING} levels")
    from extproc.challenge.store.feedback import Feedback  # with what it needs: where no challenge is, nobody needs it

    return Feedback(said.request_id, said.label, said.reward)


def _answering(
    handler: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answer errors as JSON, with the status they stand for."""

    async def answered(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except BadRequest as error:
            return _error(error.status, error.code, error.message)
        except NotThere as error:
            return _error(404, "not_found", str(error))
        except Refused as error:
            return _error(409, "refused", str(error))
        except ExtprocError as error:
            return _error(503, "unavailable", str(error))

    return answered


def _error(status: int, code: str, message: str) -> web.Response:
    return json_response({"error": {"code": code, "message": message}}, status)


def _line(report: Mapping[str, Any]) -> dict[str, Any]:
    verdicts = {one["name"]: one["verdict"] for one in report["challengers"]}
    return {name: report[name] for name in ("graph", "generation", "champion", "eligible")} | {"verdicts": verdicts}


def _index(reports: Sequence[Mapping[str, Any]]) -> web.Response:
    """Return the list of challenges as a page; names of graphs hold no character that HTML reads."""
    lines = [
        f'<li><a href="/challenges/{report["graph"]}">{report["graph"]}</a> '
        + ", ".join(f"{one['name']}: {one['verdict']}" for one in report["challengers"])
        for report in reports
    ]
    found = f"<ul>{''.join(lines)}</ul>" if lines else "<p>No graph holds a challenge.</p>"
    text = f"<!doctype html><meta charset=utf-8><title>Challenges</title><h1>Challenges</h1>{found}"
    return web.Response(text=text, content_type="text/html")
