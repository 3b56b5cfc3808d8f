"""One attempt of a call: until response headers, then until the body's end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp.typedefs import URL  # type: ignore[attr-defined]  # yarl's, which is aiohttp's own affair

from extproc.calls.body import Body
from extproc.calls.causes import FOREIGN, cause_of_error, cause_of_flags
from extproc.calls.headers import reply_headers, request_headers
from extproc.engine.calling import Cause, Failed, Reply
from extproc.headers import FAILED_HEADER

if TYPE_CHECKING:
    from aiohttp import ClientResponse

    from extproc.calls.egress import Egress
    from extproc.engine.calling import SubCall

MAX_RESPONSE = 64 * 1024 * 1024  # a sub-call's response is held whole; larger than any tensor JSON seen, and bounded


async def opened(egress: Egress, call: SubCall, timeout: float) -> ClientResponse | Failed:  # noqa: ASYNC109 - a value of the model
    """Send a request and return the response as soon as its headers are there, within ``timeout`` seconds.

    The response is open: it is the caller's to read or to close.
    """
    if egress.closed:
        return Failed(call.model.name, Cause.CONNECT)
    now = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(min(now + timeout, call.deadline)):
            response = await _sent(egress, call, call.deadline - now)
    except FOREIGN as error:
        return Failed(call.model.name, cause_of_error(error))
    flags = response.headers.get(FAILED_HEADER)
    if flags is None:
        return response
    response.release()
    return Failed(call.model.name, cause_of_flags(flags))


async def _sent(egress: Egress, call: SubCall, left: float) -> ClientResponse:
    # All of the target as the path: as a query yarl would lose an empty one.
    url = URL.build(scheme="http", host="egress", path=call.target, encoded=True)
    return await egress.session().request(
        call.method,
        url,
        headers=request_headers(call, left),
        data=Body(call.body) if call.body else None,
        allow_redirects=False,
    )


async def read(response: ClientResponse, call: SubCall, limit: int) -> Reply | Failed:
    """Read an open response to its end, within the deadline; above ``limit`` bytes the connection is cut."""
    try:
        if (response.content_length or 0) > limit and call.method != "HEAD":
            return Failed(call.model.name, Cause.TOO_LARGE)
        if response.content.is_eof():  # a small body comes with its headers: no clock is needed
            body = await _body(response, limit)
        else:
            async with asyncio.timeout_at(call.deadline):
                body = await _body(response, limit)
    except FOREIGN as error:
        return Failed(call.model.name, cause_of_error(error))
    finally:
        response.close()  # nothing to do once the end was read: the connection is back in the pool
    if body is None:
        return Failed(call.model.name, Cause.TOO_LARGE)
    return Reply(response.status, reply_headers(response.raw_headers), body)


async def _body(response: ClientResponse, limit: int) -> bytes | None:
    """Return the body, None when it is larger than ``limit``."""
    pieces: list[bytes] = []
    size = 0
    content = response.content
    while piece := await content.readany():
        size += len(piece)
        if size > limit:
            return None
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
