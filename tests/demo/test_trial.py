"""A challenge's trial: labels are told when the pairs are in, the report is read when the labels are, and held against the models."""

import dataclasses
import io
import json

import msgspec
import pytest
from rich.console import Console

from extproc.challenge.document import (
    Challenger,
    Counts,
    Estimate,
    Gain,
    Report,
    Truth,
)
from extproc.demo import trial
from extproc.demo.answer import Answer
from extproc.demo.client import connected
from extproc.demo.played import Played
from extproc.demo.progress import Progress
from extproc.demo.scene import Ask, Crowd, Expected, Request, Scene, Trial
from extproc.demo.tell_json import JsonTeller
from extproc.demo.tell_people import PeopleTeller
from extproc.demo.tour import Senders, Tour
from extproc.demo.trial import Tried, tried
from extproc.demo.verify_report import report_deviations
from extproc.errors import ExtprocError
from tests.kit.stub import ModelStub

TRIAL = Trial("later", "old", {"new": "gbm"}, "so it is")
TRUTH = (1, 1, 0, 0)
OLD = (1, 1, 0, 1)  # three of four are right
NEW = (1, 0, 0, 1)  # two are; they agree on three
TAKEN = {"accepted": 4, "duplicate": 0, "unknown": 0}


def ask(row):
    request = Request("/v1/models/c:predict", {"instances": [[row]]})
    return Ask("one", request, "why", Expected(("old",)), (TRUTH[row],), alone=("old", "gbm"))


def answered(row, prediction):
    headers = {"x-request-id": f"id-{row}", "x-extproc-graph": "c@1", "x-extproc-route": "old"}
    return Answer(200, headers, json.dumps({"predictions": [prediction]}).encode())


def rows(**changed):
    """What was played; ``changed``: the first one's ask, answer, or what the models said alone."""
    first, *others = (
        Played(ask(row), answered(row, OLD[row]), {"old": [OLD[row]], "gbm": [NEW[row]]}, []) for row in range(4)
    )
    return [dataclasses.replace(first, **changed), *others]


SAID = Challenger(
    name="new",
    to="gbm",
    counts=Counts(paired=4),
    agreement=Estimate(value=0.75, low=0.1, high=0.9, samples=4),
    truth=Truth(joined=4, accuracy=Gain(champion=0.75, challenger=0.5, gain=-0.25)),
)


def report(*, generation="c@1", champion="old", eligible=4, **changed):
    """The report of these, as the admin address has it; ``changed``: of the challenger."""
    challenger = msgspec.structs.replace(SAID, **changed)
    return encoded(
        Report(
            graph="c", generation=generation, champion=champion, eligible=eligible, at=0.0, challengers=(challenger,)
        )
    )


def accuracy(champion=0.75, challenger=0.5, gain=-0.25, joined=4):
    return Truth(joined=joined, accuracy=Gain(champion=champion, challenger=challenger, gain=gain))


def encoded(document):
    return msgspec.json.decode(msgspec.json.encode(document))


def found(document, *, played=None, taken=None, graph="c@1"):
    came = Tried(Request("/feedback", []), taken or TAKEN, document)
    return [*report_deviations(TRIAL, played or rows(), came, graph)]


class Admin:
    """An admin address with reports to come, the last of them for ever; it keeps what it is asked."""

    def __init__(self, *reports, status=200, taken=None):
        self.reports = [*reports]
        self.status = status
        self.taken = taken or TAKEN
        self.asked = []

    async def send(self, request):
        self.asked.append(request)
        if request.method == "POST":
            return self.answer(self.taken)
        return self.answer(self.reports.pop(0) if len(self.reports) > 1 else self.reports[0])

    async def send_all(self, requests):
        return [await self.send(request) for request in requests]

    def answer(self, document):
        return Answer(self.status, {}, json.dumps(document).encode())


@pytest.fixture
def at_once(monkeypatch):
    """Reports are looked at one after the other."""
    monkeypatch.setattr(trial, "LOOK_EVERY", 0.0)


@pytest.fixture
def impatient(monkeypatch):
    """What is not there is not waited for."""
    monkeypatch.setattr(trial, "PATIENCE", -1.0)


LOOKED = Request("/challenges/c", None, {"accept": "application/json"}, "GET")


@pytest.mark.usefixtures("at_once")
async def test_labels_are_told_once_the_pairs_are_in():
    """One pair is not told of, then one is on the way; the labels follow, and the report that has all of them."""
    pending = Counts(paired=3, pending=1)
    admin = Admin(
        report(truth=None, eligible=3, counts=Counts(paired=3)),
        report(truth=None, counts=pending),
        report(truth=None),
        report(truth=accuracy(joined=3)),
        report(),
    )
    came = await tried("c", rows(), admin)
    labels = [{"requestId": f"id-{row}", "label": TRUTH[row]} for row in range(4)]
    assert admin.asked == [LOOKED] * 3 + [Request("/feedback", labels)] + [LOOKED] * 2
    assert (came.document, came.taken, came.feedback.body) == (report(), TAKEN, labels)


@pytest.mark.usefixtures("at_once")
async def test_labels_that_fit_nothing_are_not_waited_for():
    """A label that cannot be used is in as well: the report comes, and says so."""
    unusable = Truth(joined=3, unusable=1)
    admin = Admin(report(truth=unusable))
    came = await tried("c", rows(), admin)
    assert came.report.challengers[0].truth == unusable
    assert len(admin.asked) == 3


@pytest.mark.usefixtures("impatient")
async def test_what_never_comes_is_missing_in_the_report():
    """A pair that is lost does not hold the demo up for ever; the report without it fails the demo."""
    document = report(truth=accuracy(joined=3), counts=Counts(paired=3, pending=1))
    came = await tried("c", rows(), Admin(document))
    assert came.document == document
    assert "new: expected 4 pairs and nothing else, got {'paired': 3, 'pending': 1}" in found(document)


@pytest.mark.parametrize(
    ("admin", "words"),
    [
        (Admin({"error": {"code": "not_found"}}, status=404), "/challenges/c at the admin address was answered 404"),
        (Admin(report(verdict="perhaps")), "no report: Invalid enum value 'perhaps'"),
        (Admin([]), "no report"),
    ],
)
async def test_what_is_no_report(admin, words):
    """An error, or a verdict that nobody knows, ends the demo and is told."""
    with pytest.raises(ExtprocError, match=words):
        await tried("c", rows(), admin)


async def test_labels_of_a_batch():
    """A request of several rows is told a label for each."""
    batch = Ask("two", Request("/v1/models/c:predict", {}), "why", Expected(), (1, 0))
    admin = Admin(report())
    await tried("c", rows(ask=batch), admin)
    assert admin.asked[1].body[0] == {"requestId": "id-0", "label": (1, 0)}


def test_nothing_to_tell():
    """A report that says what the answers and the models say is as expected."""
    assert found(report()) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"generation": "c@2"}, "expected the generation c@1, got c@2"),
        ({"champion": "gbm"}, "expected the champion old, got gbm"),
        ({"eligible": 5}, "expected eligible requests 4, got 5"),
        ({"eligible": 5}, "new: its counts add up to 4 requests, not to 5"),
        ({"counts": Counts(paired=3, failed=1)}, "expected 4 pairs and nothing else, got {'paired': 3, 'failed': 1}"),
        ({"name": "other"}, "expected the challengers ['new'], got ['other']"),
        (
            {"agreement": Estimate(value=0.5)},
            "expected agreement 0.750000, as the models say when asked alone, got 0.5",
        ),
        ({"agreement": Estimate()}, "expected agreement 0.750000, as the models say when asked alone, got None"),
        ({"truth": accuracy(champion=0.74)}, "the champion's accuracy 0.750000"),
        ({"truth": accuracy(challenger=0.75)}, "the challenger's accuracy 0.500000"),
        ({"truth": accuracy(gain=0.25)}, "the gain -0.250000"),
        ({"truth": accuracy(joined=3)}, "expected 4 labels joined, got 3"),
        ({"truth": None}, "expected 4 labels joined, got 0"),
    ],
)
def test_a_report_that_says_otherwise(changed, words):
    """Whatever a report gets wrong is told with what was expected."""
    assert any(words in one for one in found(report(**changed)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"graph": "c@2"}, "expected the generation c@2, got c@1"),
        ({"taken": TAKEN | {"accepted": 3, "unknown": 1}}, "expected labels to be taken as"),
        ({"played": rows(answer=answered(0, 0))}, "1 answers are not what old says by itself"),
        ({"played": rows(alone={"old": [1], "gbm": [0]})}, "expected the challenger's accuracy 0.250000"),
        ({"played": rows(alone={"old": [1], "gbm": []})}, "expected agreement 0.500000"),
        ({"played": rows()[:3]}, "expected 3 pairs and nothing else, got {'paired': 4}"),
    ],
)
def test_answers_that_say_otherwise(arguments, words):
    """A report is held against what was really sent, answered and told."""
    assert any(words in one for one in found(report(), **arguments))


class Says:
    """Envoy, which gives the champion's answers, each with an id; or the model server, which gives each model's own."""

    async def send(self, request):
        said = NEW if "/gbm:" in request.path else OLD
        numbers = [row for (row,) in request.body["instances"]]
        headers = {"x-request-id": f"id-{numbers[0]}", "x-extproc-graph": "c@1", "x-extproc-route": "old"}
        return Answer(200, headers, json.dumps({"predictions": [said[row] for row in numbers]}).encode())

    async def send_all(self, requests):
        return [await self.send(request) for request in requests]


async def played_scene(told, document):
    """A tour of one scene with a trial."""
    crowd = Crowd("many", (ask(1), ask(2), ask(3)), None, {"old": (1, 1)}, "why", alone=("old", "gbm"))
    tour = Tour(Senders(Says(), Says(), Admin(document)), {"c": "c@1"}, told)
    await tour.play([Scene("c", "A scene", "about", (ask(0), crowd, TRIAL))])
    return tour


def people():
    console = Console(width=80, record=True, force_terminal=False, file=io.StringIO())
    return PeopleTeller("http://127.0.0.1:10000", "http://127.0.0.1:9091", console), console


async def test_people_are_shown_the_report():
    """All that the scene sent is in the trial: the labels told, the command, its table, and the reason."""
    told, console = people()
    tour = await played_scene(told, report())
    assert (tour.requests, tour.failures) == (4, 0)
    text = console.export_text()
    parts = (
        "$ curl http://127.0.0.1:9091/feedback",
        'answer  {"accepted": 4, "duplicate": 0, "unknown": 0}',
        "$ extproc report c --admin 127.0.0.1:9091",
        "Still collecting: new  gbm against old",
        "Accuracy",
        "why     so it is",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "WRONG" not in text


async def test_people_are_told_what_is_wrong_with_it():
    """A report that says otherwise fails the demo, once, and is shown all the same."""
    told, console = people()
    tour = await played_scene(told, report(truth=accuracy(gain=0.25), agreement=Estimate(value=0.5)))
    assert tour.failures == 1
    text = console.export_text()
    assert text.count("WRONG") == 2
    assert "Accuracy" in text


async def test_machines_get_the_document(capsysbinary):
    """The last line is the report as it came; what is wrong with it is in the line, and told on standard error."""
    errors = io.StringIO()
    document = report(truth=accuracy(gain=0.25))
    tour = await played_scene(JsonTeller("http://127.0.0.1:10000", Progress(Console(file=errors, width=120))), document)
    last = json.loads(capsysbinary.readouterr().out.splitlines()[-1])
    assert tour.failures == 1
    assert last == {
        "scene": "c",
        "title": "later",
        "feedback": TAKEN,
        "report": document,
        "why": "so it is",
        "deviations": ["new: expected the gain -0.250000, as the models say when asked alone, got 0.25"],
    }
    assert "WRONG c: later: new: expected the gain -0.250000" in errors.getvalue()


async def test_client_of_the_admin_address():
    """The token goes with every request, and what has no body is sent none."""
    with ModelStub() as stub:
        async with connected(f"http://127.0.0.1:{stub.port}", "secret") as client:
            await client.send(Request("/challenges/c", None, method="GET"))
            await client.send(Request("/feedback", [1]))
        looked, told = stub.requests
    assert [one.header("authorization") for one in (looked, told)] == ["Bearer secret"] * 2
    assert (looked.body, told.body) == (b"", b"[1]")
