"""Challenges on the admin address, over HTTP: reports, feedback, promotion and rollback, and every refusal as JSON."""

from __future__ import annotations

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from extproc.admin.challenges import MAX_FEEDBACK, MAX_ITEMS, MAX_NESTING, NoChallenges, Refused
from extproc.challenge.store.failure import StoreError
from extproc.errors import BadRequest, StartError
from tests.admin.watched import TOKEN, Address, ByHand, listening, told
from tests.challenge import documents
from tests.kit import client


@pytest.fixture
def challenges():
    """The challenge of ``fraud``."""
    return ByHand(documents.report(documents.number()))


@pytest.fixture
async def address(challenges: ByHand):
    """Where they are shown."""
    async with listening(challenges) as found:
        yield found


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/html"),
        ("*/*", "text/html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("application/json, text/plain;q=0.5", "application/json"),
    ],
)
async def test_who_asks(address: Address, accept: str | None, kind: str):
    """Whoever asks for JSON gets it, also by the address alone; everybody else gets the page."""
    for path in ("/challenges", "/challenges/fraud"):
        answer = await address.get(path, accept)
        assert answer.status == 200
        assert (answer.header("content-type") or "").partition(";")[0] == kind
    for path in ("/challenges/fraud.json", "/challenges/fraud?format=json", "/challenges?format=json"):
        answer = await address.get(path, accept)
        assert answer.header("content-type") == "application/json"


async def test_reports(address: Address, challenges: ByHand):
    """The list has a line for each challenge, its page the whole report; neither is kept by anybody on the way."""
    listed = await address.get("/challenges")
    report = challenges.reports["fraud"]
    verdicts = {one["name"]: one["verdict"] for one in report["challengers"]}
    line = {name: report[name] for name in ("graph", "generation", "champion", "eligible")}
    assert listed.json() == {"challenges": [{**line, "verdicts": verdicts}]}
    for path in ("/challenges/fraud", "/challenges/fraud.json"):
        answer = await address.get(path)
        assert answer.json() == report
        assert answer.header("cache-control") == "no-store"


async def test_the_page_loads_itself_again(address: Address):
    """Looked at in a browser it does; saved by the command it does not."""
    watched = (await address.get("/challenges/fraud", "text/html")).body
    saved = (await address.get("/challenges/fraud?refresh=0", "text/html")).body
    assert b'http-equiv="refresh"' in watched
    assert b'http-equiv="refresh"' not in saved


async def test_pages_of_hostile_labels():
    """What models said and clients sent is text on every page, whatever it looks like."""
    report = documents.hostile()
    graph = report["graph"]
    shown = {**report, "graph": "fraud"}
    async with listening(ByHand(shown)) as address:
        answer = await address.get("/challenges/fraud", "text/html")
        assert answer.status == 200
        page = answer.body.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "alert(1)" in page
        assert (await address.get("/challenges/fraud")).json() == shown
    assert documents.HOSTILE in graph


@pytest.mark.parametrize("path", ["/challenges/nobody", "/challenges/nobody.json", "/challenges/%3Cscript%3E"])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
async def test_a_graph_that_is_not_there(address: Address, path: str, accept: str):
    """It is told as JSON, whoever asks."""
    status, code, message = told(await address.get(path, accept))
    assert (status, code) == (404, "not_found")
    assert message.startswith("no graph named ")


FEEDBACK = [
    ({"requestId": "a", "label": 1}, [("a", 1, None)]),
    ([{"requestId": "a", "label": None}], [("a", None, None)]),
    ({"requestId": "a", "reward": 0.5}, [("a", "unset", 0.5)]),
    ({"requestId": "a", "reward": 2, "label": [1, {"x": 2}]}, [("a", [1, {"x": 2}], 2.0)]),
    ([{"requestId": "a", "label": "x"}, {"requestId": "a", "label": "y"}], [("a", "x", None), ("a", "y", None)]),
    ([], []),
    ({"requestId": "", "label": False}, [("", False, None)]),
    (
        {"requestId": "\0é\U0001f600", "label": 12345678901234567890123},
        [("\0é\U0001f600", 12345678901234567890123, None)],
    ),
]


@pytest.mark.parametrize(("body", "wanted"), FEEDBACK)
async def test_feedback(address: Address, challenges: ByHand, body: object, wanted: list[tuple[object, ...]]):
    """One object or an array of them, with a label, a reward, or both: all of it is taken at once, in order."""
    answer = await address.post("/feedback", body)
    assert (answer.status, answer.json()) == (200, {"accepted": len(wanted), "duplicate": 0, "unknown": 0})
    ((what, *items),) = challenges.asked
    assert what == "feedback"
    labels = ["unset" if repr(one.label) == "UNSET" else one.label for one in items]
    assert [(one.request, label, one.reward) for one, label in zip(items, labels, strict=True)] == wanted


def nested(levels: int) -> bytes:
    """Feedback with a label of lists in lists."""
    return b'{"requestId": "a", "label": ' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"1",
        b'"x"',
        b"[1]",
        b"[[]]",
        b"{}",
        b'{"requestId": "a"}',
        b'{"requestId": "a", "reward": null}',
        b'{"label": 1}',
        b'{"requestId": 1, "label": 1}',
        b'{"requestId": null, "label": 1}',
        b'{"request_id": "a", "label": 1}',
        b'{"requestId": "a", "label": 1, "more": 1}',
        b'{"requestId": "a", "reward": "1"}',
        b'{"requestId": "a", "reward": true}',
        b'{"requestId": "a", "reward": NaN}',
        b'{"requestId": "a", "reward": 1e999}',
        b'{"requestId": "a", "label": 1} {}',
        b'[{"requestId": "a", "label": 1}, {"requestId": "b"}]',
        b'{"requestId": "\xff", "label": 1}',
        b'{"requestId": "a", "label": "\\ud800"}',
        b'{"requestId": "a", "label": ' + b"9" * 5000 + b"}",
        nested(MAX_NESTING + 1),
        nested(900),
        nested(100_000),
        b"[" * 100_000,
        b'{"requestId": "a", "label": ' + b'{"x":' * 500 + b"1" + b"}" * 501,
        b"\x1f\x8b\x08\x00",
        b"requestId=a&label=1",
    ],
    ids=range(31),
)
async def test_feedback_that_is_none(address: Address, challenges: ByHand, body: bytes):
    """It is told as JSON, of an array nothing is taken, and the next one is answered as ever."""
    status, code, message = told(await address.post("/feedback", body))
    assert (status, code) == (400, "bad_body")
    assert message
    assert challenges.asked == []
    assert (await address.post("/feedback", {"requestId": "a", "label": 1})).status == 200


async def test_a_label_as_deep_as_may_be(address: Address):
    """The limit is what is refused above."""
    assert (await address.post("/feedback", nested(MAX_NESTING))).status == 200


async def test_too_much_feedback(address: Address, challenges: ByHand):
    """Too many, or too many bytes, are refused with what to do, and nothing of them is taken."""
    one = {"requestId": "a", "label": 1}
    assert (await address.post("/feedback", [one] * MAX_ITEMS)).json()["accepted"] == MAX_ITEMS
    challenges.asked.clear()
    status, code, message = told(await address.post("/feedback", [one] * (MAX_ITEMS + 1)))
    assert (status, code) == (413, "body_too_large")
    assert "send the rest in another request" in message
    status, code, message = told(await address.post("/feedback", b" " * (MAX_FEEDBACK + 1)))
    assert (status, code) == (413, "body_too_large")
    assert str(MAX_FEEDBACK) in message
    assert challenges.asked == []


async def test_promotion_and_rollback(address: Address, challenges: ByHand):
    """They are asked for by graph, and answered with what was done."""
    done = await address.post("/challenges/fraud/promote", {"challenger": "gbm"})
    assert (done.status, done.json()) == (200, {"graph": "fraud", "challenger": "gbm"})
    await address.post("/challenges/fraud/promote", {"challenger": "gbm", "force": True})
    done = await address.post("/challenges/fraud/rollback")
    assert (done.status, done.json()) == (200, {"graph": "fraud"})
    assert challenges.asked == [
        ("promote", "fraud", "gbm", False),
        ("promote", "fraud", "gbm", True),
        ("rollback", "fraud"),
    ]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"challenger": 1}', b'{"challenger": "x", "force": "yes"}', b"\xff"]
)
async def test_a_promotion_that_is_none(address: Address, challenges: ByHand, body: bytes):
    """Without a challenger, or with what is not known, nothing is done."""
    assert told(await address.post("/challenges/fraud/promote", body))[:2] == (400, "bad_body")
    assert challenges.asked == []


@pytest.mark.parametrize(
    ("trouble", "wanted"),
    [
        (Refused("not yet: it is collecting"), (409, "refused", "not yet: it is collecting")),
        (StoreError("the store x: away"), (503, "unavailable", "the store x: away")),
        (StartError("Envoy did not take it"), (503, "unavailable", "Envoy did not take it")),
        (BadRequest(413, "body_too_large", "a label too large"), (413, "body_too_large", "a label too large")),
    ],
)
async def test_what_is_not_done_is_told(
    address: Address, challenges: ByHand, trouble: Exception, wanted: tuple[int, str, str]
):
    """Each with the status it stands for, as JSON with its reason."""
    challenges.trouble = trouble
    for answer in (
        await address.post("/challenges/fraud/promote", {"challenger": "gbm"}),
        await address.post("/challenges/fraud/rollback"),
        await address.post("/feedback", {"requestId": "a", "label": 1}),
        await address.get("/challenges/fraud"),
        await address.get("/challenges/fraud", "text/html"),
    ):
        assert told(answer) == wanted


CHANGES = [
    ("/feedback", {"requestId": "a", "label": 1}),
    ("/challenges/fraud/promote", {"challenger": "gbm"}),
    ("/challenges/fraud/rollback", b""),
]


@pytest.mark.parametrize(("path", "body"), CHANGES)
@pytest.mark.parametrize(
    "sent",
    [
        ("evil.example", []),
        ("[::1", []),
        ("127.0.0.1", [("origin", "http://evil.example")]),
        ("127.0.0.1", [("origin", "null")]),
        ("evil.example", [("authorization", "Bearer wrong")]),
        ("evil.example", [("authorization", "Bearer \xff")]),
    ],
)
async def test_who_may_not(address: Address, challenges: ByHand, path: str, body: object, sent):
    """It is told as JSON, before anything of the request is looked at."""
    host, headers = sent
    for content in (body, b"{"):
        status, code, _ = told(await address.post(path, content, *headers, host=host))
        assert (status, code) == (403, "forbidden")
    assert challenges.asked == []


@pytest.mark.parametrize(("path", "body"), CHANGES)
async def test_who_has_the_token(address: Address, path: str, body: object):
    """With it another name may lead here, and a dashboard's page may send."""
    headers = [("authorization", f"Bearer {TOKEN}"), ("origin", "https://dashboard.example")]
    assert (await address.post(path, body, *headers, host="extproc.internal")).status == 200


async def test_without_a_host(address: Address, challenges: ByHand):
    """HTTP/1.0 needs none; what changes something does."""
    asked = b"POST /challenges/fraud/rollback HTTP/1.0\r\n\r\n"
    answer = await client.send_raw(address.port, asked)
    assert answer.status == 403
    assert challenges.asked == []


@pytest.mark.parametrize("path", [path for path, _ in CHANGES])
async def test_nothing_is_changed_by_looking(address: Address, challenges: ByHand, path: str):
    """A link, an image or a crawler changes nothing."""
    assert (await address.get(path)).status in {404, 405}
    assert challenges.asked == []


async def test_where_no_graph_holds_a_challenge():
    """Everything is answered, and says so."""
    async with listening(NoChallenges()) as address:
        assert (await address.get("/challenges")).json() == {"challenges": []}
        assert b"No graph holds a challenge" in (await address.get("/challenges", "text/html")).body
        for answer in (
            await address.get("/challenges/fraud"),
            await address.post("/challenges/fraud/promote", {"challenger": "gbm"}),
            await address.post("/challenges/fraud/rollback"),
        ):
            status, code, message = told(answer)
            assert (status, code) == (404, "not_found")
            assert "no graph that is loaded holds a challenge" in message
        status, code, _ = told(await address.post("/feedback", {"requestId": "a", "label": 1}))
        assert (status, code) == (409, "refused")
        assert "extproc_challenge" not in _values((await address.get("/metrics")).body.decode())


async def test_metrics(address: Address, challenges: ByHand):
    """Each outcome is a counter, but for what is pending; the verdict that stands is 1, the others 0."""
    found = _values((await address.get("/metrics")).body.decode())
    (one,) = challenges.reports["fraud"]["challengers"]
    counts = {name: count for name, count in one["counts"].items() if name != "pending"}
    labels = {"graph": "fraud", "challenger": one["name"]}
    series = found["extproc_challenge_requests_total"]
    assert series == {_key({**labels, "outcome": name}): count for name, count in counts.items()}
    verdicts = found["extproc_challenge_verdict"]
    assert verdicts == {
        _key({**labels, "verdict": name}): float(name == one["verdict"]) for name in ("collecting", "promote", "reject")
    }


def _values(text: str) -> dict[str, dict[str, float]]:
    """The samples of an exposition, by name and labels."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[_key(sample.labels)] = sample.value
    return found


def _key(labels: dict[str, str]) -> str:
    return json.dumps(labels, sort_keys=True)
