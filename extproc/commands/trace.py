"""``extproc trace``: sends one request and prints its trace as a tree with times."""

from __future__ import annotations

import http.client
import re
import secrets
import sys
import time
from argparse import ArgumentTypeError
from io import TextIOWrapper
from typing import TYPE_CHECKING

from rich.console import Console

from extproc.commands.asking import NoAnswer
from extproc.commands.trace_arrival import Arrival
from extproc.commands.trace_asked import asked, at, checked_path, split, wrong
from extproc.commands.trace_nesting import nested
from extproc.commands.trace_request import NoResponse, send
from extproc.commands.trace_system import RunningSystem
from extproc.commands.trace_told import JsonTeller, PeopleTeller

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from extproc.commands.trace_request import Request
    from extproc.commands.trace_system import Overview
    from extproc.commands.trace_told import Teller

EVERY = 0.1  # seconds between two looks at what has come
LONGEST = 86_400.0  # seconds to wait: what is more was meant otherwise
EXAMPLES = """\
examples:
  extproc trace --path /v1/models/fraud:predict --body request.json
  extproc trace http://127.0.0.1:10000/v1/models/fraud:predict --header 'x-user-id: ada' --body -
  extproc trace --path /v1/models/fraud:predict --body request.json --json | jq .tree
  extproc trace --list                                      # the traces that are kept
  extproc trace --id 4bf92f3577b34da6a3ce929d0e0e4736       # one of them

Traces are kept by extproc up --traces and by extproc demo. Where they go to a collector instead, the request is sent
all the same, and the trace's id is told. Exit codes: 0 the trace is complete, whatever the answer; 1 it is not, or
there is none; 2 called wrongly.
"""


def arguments(parser: ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("url", nargs="?", metavar="URL", help="where the request goes, with its path")
    parser.add_argument("--path", help="instead of URL: the path, at the ingress of the running system")
    parser.add_argument("--host", help="the host header; default: the URL's")
    parser.add_argument("--method", help="default: POST with a body, GET without")
    parser.add_argument("--header", action="append", default=[], metavar="'K: V'", help="may be repeated")
    parser.add_argument("--body", metavar="FILE|-", help="a file, or - for standard input")
    parser.add_argument("--list", action="store_true", help="instead of a request: the traces that are kept")
    parser.add_argument("--id", type=_trace_id, metavar="TRACE", help="instead of a request: a trace that is kept")
    parser.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="for the spans to come; default: %(default)g"
    )
    parser.add_argument("--json", action="store_true", help="the answer, the spans and the tree as JSON")
    parser.add_argument(
        "--admin",
        default="127.0.0.1:9090",
        metavar="HOST:PORT",
        help="the running system's admin address; default: %(default)s",
    )


def run(options: Namespace) -> int:
    """Send a request and print its trace, or print what is kept; NoAnswer and NoResponse where that is not whole."""
    if sum([options.list, options.id is not None, options.url is not None, options.path is not None]) != 1:
        wrong("expected one of URL, --path, --list and --id")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name may have characters that the terminal lacks
    teller: Teller = JsonTeller() if options.json else PeopleTeller(Console(highlight=False))
    with RunningSystem(options.admin) as system:
        if options.list:
            _list(system, teller)
        elif options.id is not None:
            _show(system, options.id, teller)
        else:
            _trace(system, options, teller)
    return 0


def _list(system: RunningSystem, teller: Teller) -> None:
    overview = system.overview()
    if overview.refusal:
        raise NoAnswer(overview.refusal)
    teller.overview(overview)


def _show(system: RunningSystem, trace_id: str, teller: Teller) -> None:
    spans = system.spans(trace_id)
    if not spans:
        raise NoAnswer(f"no trace {trace_id} is kept; extproc trace --list says which are")
    teller.trace(trace_id, spans, nested(spans))


def _trace(system: RunningSystem, options: Namespace, teller: Teller) -> None:
    request = asked(options, split(options.url or "http://ingress" + checked_path(options.path)))
    overview = system.overview()
    if overview.refusal and overview.collector is None:
        raise NoAnswer(overview.refusal)
    if options.url is None:
        request = request.to(at(_ingress(overview), system.host, options.path))
    trace_id, client = secrets.token_hex(16), secrets.token_hex(8)
    failure = _send(request, f"00-{trace_id}-{client}-01", teller)
    kept = not overview.refusal
    arrival = _awaited(system, trace_id, Arrival(client), options.timeout) if kept else Arrival(client)
    teller.trace(trace_id, arrival.spans, nested(arrival.spans, client))
    if failure is not None:
        raise failure
    if not kept:
        raise NoAnswer(f"trace {trace_id} is not kept here; look for it where spans are sent: {overview.collector}")
    if missing := " and ".join(arrival.missing()):
        raise NoAnswer(_incomplete(trace_id, missing, options, any_came=bool(arrival.spans)))


def _ingress(overview: Overview) -> str:
    if overview.ingress is None:
        raise NoAnswer("this system does not say where it takes requests: name the whole URL instead of --path")
    return overview.ingress


def _send(request: Request, traceparent: str, teller: Teller) -> NoResponse | None:
    """Send it and tell the answer; return why there was none, for its trace may say more. Raises NoResponse."""
    try:
        teller.answered(send(request, traceparent))
    except NoResponse as error:
        if not error.sent:
            raise
        return error
    except (ValueError, http.client.InvalidURL) as error:
        wrong(f"no request can hold this: {error}")
    return None


def _awaited(system: RunningSystem, trace_id: str, arrival: Arrival, timeout: float) -> Arrival:
    """Look until the trace is complete, or the time is over."""
    end = time.monotonic() + timeout
    errors = Console(stderr=True, highlight=False)
    with errors.status("waiting for the trace ...", spinner_style="cyan") as status:
        while not arrival.look(system.spans(trace_id), time.monotonic()) and time.monotonic() < end:
            status.update(f"waiting for the trace: {len(arrival.spans):,} spans ...")
            time.sleep(EVERY)
    return arrival


def _incomplete(trace_id: str, missing: str, options: Namespace, *, any_came: bool) -> str:
    if any_came:
        return f"trace {trace_id} is not complete after {options.timeout:g} s: missing is {missing}"
    where = f"does {options.url} lead to" if options.url else "is that the ingress of"
    return (
        f"no span of trace {trace_id} came within {options.timeout:g} s: {where} the system with the admin address"
        f" {options.admin}, and does OTEL_TRACES_SAMPLER there let a client decide?"
    )


def _trace_id(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{32}", text):
        raise ArgumentTypeError(f"{text!r} is no trace id: expected 32 hexadecimal digits")
    return text.lower()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= LONGEST:
        raise ArgumentTypeError(f"{text!r}: expected a number of seconds, like 10")
    return seconds
