"""One attempt of a call: until response headers, then until the body's end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from extproc.calls.causes import FOREIGN, cause_of_error, cause_of_flags
from extproc.calls.headers import reply_headers, request_headers
from extproc.engine.calling import Cause, Failed, Reply
from extproc.headers import FAILED_HEADER, LATENCY_HEADER, seconds

if TYPE_CHECKING:
    from extproc.calls.egress import Egress
    from extproc.calls.response import Response
    from extproc.engine.calling import SubCall

MAX_RESPONSE = 64 * 1024 * 1024  # a sub-call's response is held whole; larger than any tensor JSON seen, and bounded


async def opened(egress: Egress, call: SubCall, timeout: float) -> Response | Failed:  # noqa: ASYNC109 - a value of the model
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
    flags = response.header(FAILED_HEADER)
    if flags is None:
        return response
    response.close()
    return Failed(call.model.name, cause_of_flags(flags))


async def _sent(egress: Egress, call: SubCall, left: float) -> Response:
    connection = await egress.connection()
    try:
        response = connection.send(call.method, call.target, request_headers(call, left), call.body)
        await response.head()
    except BaseException:
        connection.abort()  # cancelled, late or broken: Envoy resets the model's side when ours is cut
        raise
    return response


async def read(response: Response, call: SubCall, limit: int) -> Reply | Failed:
    """Read an open response to its end, within the deadline; above ``limit`` bytes the connection is cut."""
    try:
        if response.complete:  # a small body comes with its headers: no clock is needed
            body = await response.body(limit)
        else:
            async with asyncio.timeout_at(call.deadline):
                body = await response.body(limit)
    except FOREIGN as error:
        return Failed(call.model.name, cause_of_error(error))
    finally:
        response.close()
    if body is None:
        return Failed(call.model.name, Cause.TOO_LARGE)
    latency = seconds(response.header(LATENCY_HEADER))
    return Reply(response.status, reply_headers(response.raw_headers), body, latency, call.began)
