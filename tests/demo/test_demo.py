"""``extproc demo``: every scene's promise is kept on a real Envoy, people can read it, and nothing stays behind."""

import collections
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from rich.console import Console

from extproc.demo import run
from extproc.demo.answer import Answer, Call
from extproc.demo.calls import called
from extproc.demo.curl import folded, words
from extproc.demo.labels import label, named
from extproc.demo.model_process import ModelServer
from extproc.demo.played import right
from extproc.demo.progress import Progress
from extproc.demo.samples import folder, moved
from extproc.demo.scene import Ask, Crowd, Expected, Request, Scene
from extproc.demo.scenes import scenes
from extproc.demo.short import shortened
from extproc.demo.tell_people import PeopleTeller
from extproc.demo.tour import Senders, Tour
from extproc.demo.welcome import Place, tell_graphs, tell_staying
from extproc.errors import StartError
from extproc.graph import load
from extproc.plan.compile import compile_graph

WITHIN = 120.0  # seconds; it takes some 12
ELSEWHERE = "http://127.0.0.1:40001"
MARK = "EXTPROC_TEST_DEMO"


@contextlib.contextmanager
def demo(*arguments):
    """A running ``extproc demo``, and a mark in its environment, which its children have too."""
    mark = str(uuid.uuid4())
    command = [sys.executable, "-m", "extproc.cli", "demo", *arguments]
    environment = {key: value for key, value in os.environ.items() if key not in {"FORCE_COLOR", "COLUMNS"}}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**environment, MARK: mark}
    ) as process:
        try:
            yield process, mark
        finally:
            process.kill()


def left(mark):
    """Processes whose environment holds the mark."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text())
    return found


class Result:
    """How one ``demo --once --json`` went."""

    def __init__(self, process, mark):
        output, self.errors = process.communicate(timeout=WITHIN)
        self.code = process.returncode
        self.left = left(mark)
        lines = [json.loads(line) for line in output.splitlines()]
        self.requests = [line for line in lines if "url" in line]
        self.reports = [line for line in lines if "report" in line]
        self.last = lines[-1] if lines else None

    def of(self, scene):
        """The requests of one scene: those told one by one, and those of crowds."""
        mine = [request for request in self.requests if request["scene"] == scene]
        return [one for one in mine if one["why"]], [one for one in mine if not one["why"]]


@pytest.fixture(scope="module")
def result():
    with demo("--once", "--json", "--port", "0", "--admin", "127.0.0.1:0") as (process, mark):
        return Result(process, mark)


def branches(requests):
    return collections.Counter(request["route"].split(",")[0].removeprefix("root=") for request in requests)


@pytest.mark.envoy
class TestOnce:
    def test_ends_well_and_leaves_nothing(self, result):
        """Every answer was as expected, the exit code says so, and no process is left."""
        assert result.code == 0, result.errors
        assert [line for line in (*result.requests, *result.reports) if line["deviations"]] == []
        assert result.left == []

    def test_progress_goes_to_standard_error(self, result):
        """Standard output is JSON alone, so what is being done is told on the other one, without control codes."""
        assert "Training the models" in result.errors
        assert "\x1b" not in result.errors

    def test_graph_is_the_listed_one(self, result):
        """The id in the answers is the one in the list of graphs, although models were moved."""
        graphs = {request["graph"] for request in result.requests} - {None}
        assert {graph.split("@")[0] for graph in graphs} == {graph.name for graph in load([folder()]).graphs}
        assert all(graph in result.errors for graph in graphs)

    def test_canary(self, result):
        """The same user gets the same model with another body, and one in ten users is a canary."""
        single, crowd = result.of("cancer-canary")
        ada, niklaus, again = single
        assert (ada["model"], niklaus["model"], again["model"]) == (
            "cancer-logistic",
            "cancer-boosting",
            "cancer-boosting",
        )
        assert niklaus["headers"] == again["headers"]
        assert niklaus["body"] != again["body"]
        assert len({request["headers"]["x-user-id"] for request in crowd}) == len(crowd) == 400
        assert branches(crowd) == {"stable": 358, "canary": 42}

    def test_switch(self, result):
        """Header, body and default each choose, and the gold customer's picture is the one sent by default."""
        default, gold, bulk = result.of("digits-switch")[0]
        assert default["route"].startswith("root=default,everyone=")
        assert default["body"] == gold["body"]
        assert (gold["route"], gold["predictions"]) == ("root=gold,digits-large", gold["truth"])
        assert bulk["route"] == "root=bulk,digits-small"
        assert len(bulk["predictions"]) == len(bulk["truth"]) == 12

    def test_wine(self, result):
        """Both models get their share, and the V2 answer names the model that the route names."""
        single, crowd = result.of("wine-ab")
        assert all(request["answer"]["model_name"] == request["model"] for request in single + crowd)
        assert len(crowd) == 60
        assert set(branches(crowd)) == {"a", "b"}

    def test_chain(self, result):
        """Two calls whatever the batch; what the first model refuses is the answer, and the second is not asked."""
        one, batch, broken = result.of("cancer-chain")[0]
        assert one["route"] == batch["route"] == "cancer-scaler,cancer-logistic-scaled"
        assert (one["predictions"], batch["predictions"]) == (one["truth"], batch["truth"])
        assert [len(row) for row in one["alone"]["cancer-scaler"]] == [30]
        assert (broken["status"], broken["calls"]) == (400, [{"model": "cancer-scaler", "failure": "400"}])

    def test_vote(self, result):
        """The answer is the majority of what the three models say by themselves, though they disagree, row by row."""
        one, batch = result.of("cancer-vote")[0]
        assert len(batch["predictions"]) == 171
        for request in (one, batch):
            said = list(zip(*request["alone"].values(), strict=True))
            assert request["predictions"] == [int(sum(votes) > 1) for votes in said]
            assert any(len(set(votes)) > 1 for votes in said)
        assert one["alone"]["cancer-logistic"] != one["predictions"] == one["truth"]

    def test_cascade(self, result):
        """The small model's answer counts when it is sure, else the large one's; together they beat the small one."""
        single, crowd = result.of("digits-cascade")
        small, large = "digits-small-proba", "digits-large-proba"
        assert [request["model"] for request in single] == [small, large]
        assert {request["route"] for request in crowd} == {small, f"{small},{large}"}
        for request in crowd:
            assert (request["model"] == small) == (max(request["alone"][small][0]) >= 0.95)
            assert request["predictions"][0] == pytest.approx(request["alone"][request["model"]][0])
        together = sum(right(request["predictions"], request["truth"]) for request in crowd)
        alone = sum(right(request["alone"][small], request["truth"]) for request in crowd)
        assert together > alone

    def test_fallback(self, result):
        """The broken model stays broken, and every request is answered by the other one."""
        single, crowd = result.of("wine-fallback")
        assert {request["route"] for request in single + crowd} == {"wine-next!connect,wine-a"}
        assert {request["answer"]["model_name"] for request in single + crowd} == {"wine-a"}

    def test_maintenance(self, result):
        """The retired path is answered without a model."""
        ((request,), _) = result.of("maintenance")
        assert (request["status"], request["model"], request["route"]) == (410, None, None)
        assert "was retired" in request["answer"]["error"]

    def test_no_graph(self, result):
        """What no graph matches is 404, in JSON."""
        ((request,), _) = result.of("no-graph")
        assert (request["status"], request["graph"]) == (404, None)
        assert request["answer"]["error"]["code"] == "no_graph"

    def test_challenge(self, result):
        """The report is of every row held out, each a pair with its label; its figures are the models' own."""
        single, crowd = result.of("cancer-challenge")
        (line,) = result.reports
        report = line["report"]
        (boosting,) = report["challengers"]
        assert line is result.last
        assert (line["scene"], report["graph"], report["generation"]) == (
            "cancer-challenge",
            "cancer-challenge",
            single[0]["graph"],
        )
        assert report["eligible"] == boosting["counts"]["paired"] == sum(boosting["counts"].values()) == 171
        assert line["feedback"] == {"accepted": 171, "duplicate": 0, "unknown": 0}
        champion, challenger = (
            sum(request["alone"][model] == request["truth"] for request in single + crowd)
            for model in ("cancer-logistic", "cancer-boosting")
        )
        assert boosting["truth"]["joined"] == 171
        accuracy = boosting["truth"]["accuracy"]
        assert (accuracy["champion"], accuracy["challenger"]) == pytest.approx((champion / 171, challenger / 171))
        assert 0.9 < challenger / 171 < champion / 171 < 1
        assert {name for name, rail in boosting["guardrails"].items() if rail["verdict"] == "pass"} >= {
            "agreement",
            "errors",
        }
        assert boosting["guardrails"]["truth"]["verdict"] == "collecting"
        assert boosting["kind"] == "label"

    def test_challenge_leaves_its_champions_answers(self, result):
        """Clients get the champion's answer, also where the challenger's would have been the right one."""
        single, crowd = result.of("cancer-challenge")
        assert all(request["predictions"] == request["alone"]["cancer-logistic"] for request in single + crowd)
        assert single[0]["alone"] == {"cancer-logistic": [1], "cancer-boosting": [0]}
        assert single[0]["truth"] == [0]

    def test_models_are_right(self, result):
        """The answers belong to the rows that were sent: nearly all predictions are true."""
        known = [request for request in result.requests if request["truth"]]
        count = sum(right(request["predictions"], request["truth"]) for request in known)
        assert count / sum(len(request["truth"]) for request in known) > 0.9


@pytest.mark.envoy
def test_people_can_read_it():
    """In a pipe it is plain text of 80 columns; a taken port is told and replaced; it stays until Ctrl-C, then exits 0."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with demo("--port", str(port), "--admin", "127.0.0.1:0") as (process, mark):
            lines = []
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if "Ctrl-C" in line:
                    break
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=WITHIN)
            assert process.returncode == 0, errors
            assert errors == ""
            assert left(mark) == []
    text = "\n".join(lines)
    assert f"Port {port} is taken" in text
    assert "\x1b" not in text
    assert max(len(line) for line in text.partition("It stays up")[0].splitlines()) <= 80
    for words_of in (
        "-H 'x-user-id: niklaus'",
        "why     The split hashed x-user-id",
        "█",
        "truth: benign, so right",
        ", then cancer-logistic-",
        "$ extproc report cancer-challenge --admin 127.0.0.1:",
        "cancer-boosting against cancer-logistic",
        "champion ↓ challenger →",
    ):
        assert words_of in text
    assert "each answered as expected" in text
    assert text.index("paired 171") < text.index("each answered as expected") < text.index("The report as a page")
    assert "All stopped" in rest


class Deaf:
    """A client to whom every answer is a 503."""

    async def send(self, request):
        del request
        return Answer(503, {}, b"{}")

    async def send_all(self, requests):
        return [await self.send(request) for request in requests]


def teller(width=80):
    console = Console(width=width, record=True, force_terminal=False, file=io.StringIO())
    return PeopleTeller("http://127.0.0.1:10000", "http://127.0.0.1:9090", console), console


def tour(told, graphs=None, *, sender=None, models=None):
    """A tour whose models, and whatever is not given, nobody hears."""
    return Tour(Senders(sender or Deaf(), models or Deaf(), Deaf()), graphs or {}, told)


async def test_unexpected_answers_are_counted_and_told():
    """An answer otherwise than promised is a failure, told with what was expected; of a crowd's each kind once."""
    ask = Ask("one", Request("/v1/models/a:predict", {"instances": [[1]]}), "why", Expected(("root=a,a",)), (1,))
    crowd = Crowd("many", (ask,) * 20, "root", {"a": (0.9, 1.0)}, "why")
    told, console = teller()
    deaf = tour(told, {"a": "a@1"})
    await deaf.play([Scene("a", "A scene", "about", (ask, crowd))])
    assert (deaf.requests, deaf.failures) == (21, 22)
    text = console.export_text()
    for deviation in (
        "expected status 200, got 503",
        "expected the route root=a,a, got (none)",
        "expected the graph a@1, got (none)",
        "expected 1 predictions, got 0",
        "20 times: expected status 200, got 503",
        "expected 90% to 100% at root=a, got 0.0%",
    ):
        assert deviation in text


class Says:
    """A client to whom every answer is a 200 of one route, one prediction for each instance."""

    def __init__(self, prediction, route=None):
        self.prediction = prediction
        self.route = {"x-extproc-route": route, "x-extproc-graph": "a@1"} if route else {}
        self.paths = []

    async def send(self, request):
        self.paths.append(request.path)
        predictions = [self.prediction] * len(request.body["instances"])
        return Answer(200, self.route, json.dumps({"predictions": predictions}).encode())

    async def send_all(self, requests):
        return [await self.send(request) for request in requests]


ASK = Ask(
    "one", Request("/v1/models/a:predict", {"instances": [[1]]}), "why", Expected(("s,l",)), (1,), alone=("s", "l")
)


async def test_models_asked_alone():
    """Models are asked past the graph, of a crowd all at once, and the teller compares them with its answers."""
    crowd = Crowd("many", (ASK,) * 20, None, {"s": (0, 0), "l": (1, 1)}, "why", alone=("s",))
    told, console = teller()
    models = Says([0.75, 0.25])
    heard = tour(told, {"a": "a@1"}, sender=Says([0.25, 0.75], "s,l"), models=models)
    await heard.play([Scene("a", "A scene", "about", (ASK, crowd))])
    assert (heard.requests, heard.failures) == (21, 0)
    assert models.paths == ["/v1/models/s:predict", "/v1/models/l:predict", "/v1/models/s:predict"]
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    for line in (
        "    answer  200  1 (75.0%)   truth: 1, so right",
        "    models  s, then l",
        "    alone   s  0 (75.0%)  wrong",
        "    in all  100.0% right",
        "    alone   s  0.0% right",
    ):
        assert line in lines


async def test_a_model_that_fails_alone_is_told():
    """A comparison that could not be made is a failure, of a crowd's as well, and does not end the tour."""
    crowd = Crowd("many", (ASK,) * 2, None, {"l": (1, 1)}, "why", alone=("s",))
    told, console = teller()
    half = tour(told, {"a": "a@1"}, sender=Says(1, "s,l"))
    await half.play([Scene("a", "A scene", "about", (ASK, crowd))])
    assert half.failures == 2
    assert console.export_text().count("s, asked alone, answered 503") == 2


async def test_shares_of_models():
    """A crowd without a node is shared out by the model that answered, and a wrong share says which."""
    crowd = Crowd("many", (ASK,) * 4, None, {"s": (0.5, 1)}, "why")
    told, console = teller()
    heard = tour(told, {"a": "a@1"}, sender=Says(1, "s,l"))
    await heard.play([Scene("a", "A scene", "about", (crowd,))])
    assert "expected 50% to 100% answered by s, got 0.0%" in console.export_text()


@pytest.mark.parametrize(
    ("route", "calls", "words_of"),
    [
        (None, (), ""),
        ("root=b", (), ""),
        ("!fail-open", (), ""),
        ("root=b,m", (Call("m"),), "m"),
        ("m!connect,n", (Call("m", "connect"), Call("n")), "m could not be reached, then n"),
        ("m!503,n!timeout", (Call("m", "503"), Call("n", "timeout")), "m answered 503, then n took too long"),
    ],
)
def test_calls(route, calls, words_of):
    """The calls in a route, without its decisions, and in words."""
    answer = Answer(200, {"x-extproc-route": route} if route else {}, b"")
    assert answer.calls == calls
    assert called(answer.calls, ", then ").plain == words_of


@pytest.mark.parametrize(
    ("prediction", "known", "text"),
    [
        (1, 1, "b"),
        (7, 7, "7"),
        (-1, -1, "-1"),
        ([0.25, 0.75], 1, "b (75.0%)"),
        ([0.1] * 10, 0, "a (10.0%)"),
        ([0.5, 1.5, -1.0, 2], None, "[0.50, 1.50, -1.00, … 4 in all]"),
        ([], None, "[]"),
        (["x"], None, "['x']"),
        (None, None, "None"),
        ("x", None, "x"),
    ],
)
def test_labels(prediction, known, text):
    """A label is one, of probabilities it is the likeliest, and nothing else is one."""
    assert label(prediction) == known
    assert named(prediction, ("a", "b")) == text


async def test_a_scene_without_its_graph_fails():
    """A scene of a graph that is not loaded does not pass as one that no graph matches."""
    ask = Ask("one", Request("/", {}), "why", Expected(status=503))
    told, console = teller()
    deaf = tour(told)
    await deaf.play([Scene("gone", "A scene", "about", (ask,))])
    assert deaf.failures == 1
    assert "gone, which is not loaded" in console.export_text()


def test_every_scene_has_a_sample_graph():
    """Scenes name graphs that there are."""
    graphs = {graph.name for graph in load([folder()]).graphs}
    assert {scene.graph for scene in scenes()} - {None} <= graphs


def test_a_graph_without_a_scene_is_listed():
    """A sample graph that the tour does not show is named all the same."""
    plans = [compile_graph(graph) for graph in load([folder()]).graphs]
    _, console = teller()
    tell_graphs(console, plans, [scene for scene in scenes() if scene.graph != "wine-ab"], folder())
    (line,) = [line for line in console.export_text().splitlines() if "wine-ab@" in line]
    assert "not part of the tour" in line


def test_lines_to_try_send_a_scenes_body(tmp_path):
    """The lines printed at the end are for a shell: each names a file that holds its scene's body."""
    _, console = teller(width=100)
    tell_staying(
        console, Place("http://127.0.0.1:10000", "http://127.0.0.1:9090", ModelServer("", 1), tmp_path), scenes()
    )
    assert "http://127.0.0.1:9090/challenges/cancer-challenge" in console.export_text(clear=False)
    assert "extproc promote cancer-challenge boosting --admin 127.0.0.1:9090" in console.export_text(clear=False)
    assert f"-d @{tmp_path}/cancer-canary.json" in console.export_text().replace("\\\n", "")
    assert len(json.loads((tmp_path / "cancer-canary.json").read_text())["instances"][0]) == 30


def test_moved_graphs():
    """Models at the samples' address move, others stay; the graph has a digest of its own."""
    raw = {
        "apiVersion": "extproc.dev/v1",
        "kind": "InferenceGraph",
        "metadata": {"name": "a"},
        "spec": {
            "match": [{"path": "/a"}],
            "models": {
                "here": {"url": "http://127.0.0.1:18080/v1"},
                "two": {"urls": ["http://127.0.0.1:18080", "http://127.0.0.1:180801/x"]},
            },
            "nodes": {"root": {"split": {"routes": [{"to": "here", "weight": 1}, {"to": "two", "weight": 1}]}}},
        },
    }
    graph = load_one(raw)
    (other,) = moved([graph], ELSEWHERE)
    models = other.document.spec.models
    assert models["here"].url == f"{ELSEWHERE}/v1"
    assert list(models["two"].urls) == [ELSEWHERE, "http://127.0.0.1:180801/x"]
    assert graph.raw["spec"]["models"]["here"]["url"] == "http://127.0.0.1:18080/v1"
    assert other.digest != graph.digest


def load_one(raw):
    from extproc.graph import load_raw

    return load_raw(raw)


def test_a_broken_model_stays_broken():
    """The sample of a fallback has its first model where nobody listens, wherever the demo's models are."""
    (graph,) = [graph for graph in moved(load([folder()]).graphs, ELSEWHERE) if graph.name == "wine-fallback"]
    urls = {name: str(model.url) for name, model in graph.document.spec.models.items()}
    assert urls["wine-next"].startswith("http://127.0.0.1:18099/")
    assert urls["wine-a"].startswith(f"{ELSEWHERE}/")


@pytest.mark.parametrize("module", ["sklearn", "numpy"])
def test_missing_library(monkeypatch, module):
    """Without what the models need, the message says what to install."""
    monkeypatch.setattr(run, "find_spec", lambda name: None if name == module else object())
    with pytest.raises(StartError, match=r"pip install 'extproc\[demo\]'"):
        run.require()


def test_missing_envoy(monkeypatch):
    """An Envoy that cannot be run is said before anything is trained."""
    monkeypatch.setenv("ENVOY_BINARY", "/nowhere/envoy")
    with pytest.raises(StartError, match="/nowhere/envoy"):
        run.require()


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"a": [1, 2]}, '{"a": [1, 2]}'),
        ([1, 2, 3, 4, 5, 6], "[1, 2, 3, … 6 in all]"),
        ([[1]] * 9, "[[1], … 9 in all]"),
        ([{"a": 1}] * 9, '[{"a": 1}, … 9 in all]'),
        (None, "null"),
        ("é", '"é"'),
    ],
)
def test_shortened(document, text):
    """Long lists are cut, and their length is told."""
    assert shortened(document) == text


def test_curl_folds_where_a_shell_joins():
    """A folded call is the same call to a shell."""
    request = Request("/p", None, {"x-a": "it's"})
    lines = folded(words("http://h", request, "{}"), 20)
    shell = "\n".join(lines).replace("curl", "printf '%s,'", 1)
    assert subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout == (  # noqa: S607
        "http://h/p,-H,x-a: it's,-d,{},"
    )


def test_progress_without_a_terminal(capsys):
    """What is being done is a plain line where no spinner can turn."""
    progress = Progress(Console(force_terminal=False))
    with progress.doing("Waiting"):
        pass
    assert capsys.readouterr().out == "  Waiting ...\n"
