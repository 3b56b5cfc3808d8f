"""The spans of whole requests, Envoy's and ours, as trees: right parents, no orphan, none twice, none left open."""

import asyncio
import json

import pytest

from tests.envoy.challenged import told
from tests.envoy.models import Models
from tests.envoy.running import Running, running
from tests.envoy.traced import Sent, named, shows, spans_of, tree
from tests.kit import client
from tests.kit.client import RawConnection

pytestmark = pytest.mark.envoy

OWN_GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: split}
spec:
  match: [{path: /split}]
  models: {stable: {url: "http://<spans-one>/a"}, canary: {url: "http://<spans-two>/b"}}
  nodes:
    root: {split: {by: 'request.headers["x-user"]', routes: [{name: old, to: stable, weight: 1}, {name: new, to: tiers, weight: 0}]}}
    tiers: {switch: {cases: [{name: gold, when: 'request.headers["x-tier"] == "gold"', to: canary}], default: stable}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: tiers}
spec:
  match: [{path: /tiers}]
  models: {stable: {url: "http://<spans-one>/a"}, canary: {url: "http://<spans-two>/b"}}
  nodes:
    root:
      switch:
        cases:
          - {name: broken, when: 'request.headers["x-missing"].size() > 1', to: stable}
          - {name: gold, when: 'request.headers["x-tier"] == "gold"', to: canary}
          - {name: closed, when: 'request.headers["x-tier"] == "closed"', to: shut}
        default: stable
    shut: {respond: {status: 403, body: {error: closed}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: line}
spec:
  match: [{path: /line}]
  models: {first: {url: "http://<spans-one>/first"}, last: {url: "http://<spans-two>/last"}}
  nodes: {root: {chain: {steps: [{name: a, to: first}, {name: b, to: last}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: together}
spec:
  match: [{path: /together}]
  timeout: 5s
  models: {one: {url: "http://<spans-one>/1"}, two: {url: "http://<spans-two>/2"}, three: {url: "http://<spans-three>/3"}}
  nodes: {root: {ensemble: {members: [{name: a, to: one}, {name: b, to: two}, {name: c, to: three}], require: 2}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: twice}
spec:
  match: [{path: /twice}]
  timeout: 20s
  models:
    hedged: {url: "http://<spans-hedged>/", hedge: {after: 50ms}}
    again: {url: "http://<spans-two>/", retries: {attempts: 3, on: [5xx], backoff: 1ms}}
    last: {url: "http://<spans-three>/"}
  nodes:
    root: {switch: {cases: [{when: '"x-how" in request.headers', to: retry}], default: hedge}}
    hedge: {chain: {steps: [{name: a, to: hedged}, {name: b, to: last}]}}
    retry: {chain: {steps: [{name: a, to: again}, {name: b, to: last}]}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: duel}
spec:
  match: [{path: /duel}]
  models: {champion: {url: "http://<spans-one>/"}, rival: {url: "http://<spans-two>/"}, next: {url: "http://<spans-three>/"}}
  nodes:
    root: {challenge: {champion: champion, challengers: [{name: rival, to: steps}]}}
    steps: {chain: {steps: [{name: a, to: rival}, {name: b, to: next}]}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: chat}
spec:
  match: [{path: /v1/chat/completions}]
  models: {guard: {url: "http://<spans-one>"}, llm: {url: "http://<spans-two>"}}
  nodes: {root: {chain: {steps: [{name: a, to: guard}, {name: b, to: llm}], output: {moved: "${steps.b.body}"}}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: late}
spec:
  match: [{path: /late}]
  timeout: 300ms
  models: {one: {url: "http://<spans-one>/"}, two: {url: "http://<spans-two>/"}}
  nodes: {root: {chain: {steps: [{name: a, to: one}, {name: b, to: two}]}}}
"""
SECRET = "hunter2-secret"
STUBS = ("spans-one", "spans-two", "spans-three", "spans-hedged")


@pytest.fixture(scope="module")
def traced(models: Models):
    """A system that keeps its traces."""
    with running(models.fill(OWN_GRAPHS), workers=2, arguments=["--traces"]) as started:
        yield started
        assert started.faults() == {}
        assert started.said() == ""


@pytest.fixture(autouse=True)
def _forget(traced: Running, models: Models):  # noqa: ARG001 - the system names the stubs
    for name in STUBS:
        models[name].forget()


async def test_a_split(traced: Running, models: Models):
    """Envoy makes the call; the model is told of Envoy's span for it. What decided is told, but not the key."""
    sent = Sent()
    answer = await sent.ask(traced, "/split", [("x-user", SECRET), ("authorization", SECRET)])
    assert answer.status == 200
    spans = await shows(
        traced,
        sent,
        """
        envoy: POST split
          envoy: POST stable
          envoy: ext_proc
            extproc: graph split tail <- decision
        """,
    )
    graph = named(spans, "graph split")
    assert graph["kind"] == "server"
    assert graph["attributes"]["extproc.graph"] == "split"
    assert [graph["attributes"]["extproc.generation"]] == [
        one.partition("@")[2] for one in traced.graphs if "split@" in one
    ]
    assert graph["attributes"]["extproc.route"] == "root=old,stable"
    assert graph["attributes"]["extproc.model"] == "stable"
    assert 0 < graph["attributes"]["extproc.deadline.left"] <= 30
    assert graph["events"][0]["attributes"] == {
        "extproc.node": "root",
        "extproc.branch": "old",
        "extproc.expression": 'request.headers["x-user"]',
        "extproc.result": "a key",
    }
    call = named(spans, "POST stable")
    assert models["spans-one"].requests[0].header("traceparent") == f"00-{sent.trace}-{call['spanId']}-01"
    assert named(spans, "POST split")["attributes"]["extproc.model"] == "stable"
    assert SECRET not in json.dumps(spans)


async def test_a_switch(traced: Running):
    """The condition that held stands beside the branch; one that failed is told without what it saw."""
    sent = Sent()
    await sent.ask(traced, "/tiers", [("x-tier", "gold"), ("x-note", SECRET)])
    spans = await shows(
        traced,
        sent,
        """
        envoy: POST tiers
          envoy: POST canary
          envoy: ext_proc
            extproc: graph tiers tail <- expression_failed,decision
        """,
    )
    failed, decision = named(spans, "graph tiers")["events"]
    assert failed["attributes"] == {
        "extproc.node": "root",
        "extproc.expression": 'request.headers["x-missing"].size() > 1',
    }
    assert decision["attributes"]["extproc.result"] == "true"
    assert SECRET not in json.dumps(spans)


async def test_an_answer(traced: Running):
    """Without any call, the graph's own answer: 403 is the client's, and no error of ours."""
    sent = Sent()
    assert (await sent.ask(traced, "/tiers", [("x-tier", "closed")])).status == 403
    spans = await shows(
        traced,
        sent,
        """
        envoy: POST tiers
          envoy: ext_proc
            extproc: graph tiers answer 403 <- expression_failed,decision
        """,
    )
    assert named(spans, "graph tiers")["attributes"]["http.response.status_code"] == 403


async def test_no_graph(traced: Running):
    """Envoy alone has a span."""
    sent = Sent()
    assert (await sent.ask(traced, "/nowhere")).status == 404
    await shows(traced, sent, "envoy: POST")


async def test_a_chain(traced: Running, models: Models):
    """A span for the sub-call, Envoy's own below it, and Envoy's for the last step; every model is told."""
    sent = Sent()
    await sent.ask(traced, "/line?token=" + SECRET)
    spans = await shows(
        traced,
        sent,
        """
        envoy: POST line
          envoy: POST last
          envoy: ext_proc
            extproc: graph line tail
              extproc: call first 2xx
                envoy: POST first
        """,
    )
    call = named(spans, "call first")
    assert (call["kind"], call["attributes"]["extproc.node"]) == ("client", "root")
    assert (call["attributes"]["extproc.attempts"], call["attributes"]["extproc.hedged"]) == (1, False)
    assert call["attributes"]["http.response.status_code"] == 200
    first, last = named(spans, "POST first"), named(spans, "POST last")
    assert models["spans-one"].requests[0].header("traceparent") == f"00-{sent.trace}-{first['spanId']}-01"
    assert models["spans-two"].requests[0].header("traceparent") == f"00-{sent.trace}-{last['spanId']}-01"
    assert SECRET not in json.dumps(spans)


async def test_an_ensemble_with_a_failing_member(traced: Running):
    """The failed call is an error, the request is none."""
    sent = Sent()
    answer = await sent.ask(traced, "/together", told(spans_two={"status": 503, "json": {"why": SECRET}}))
    assert answer.status == 200
    spans = await shows(
        traced,
        sent,
        """
        envoy: POST together
          envoy: ext_proc
            extproc: graph together answer
              extproc: call one 2xx
                envoy: POST one
              extproc: call three 2xx
                envoy: POST three
              extproc: call two 5xx 503 ERROR
                envoy: POST two ERROR
        """,
    )
    assert SECRET not in json.dumps(spans)


async def test_an_ensemble_that_fails(traced: Running):
    """The request's span says which error it was answered with."""
    sent = Sent()
    answer = await sent.ask(traced, "/together", told(spans_two={"status": 503}, spans_three={"stop": "reset"}))
    assert answer.status == 502
    spans = await shows(
        traced,
        sent,
        """
        envoy: POST together ERROR
          envoy: ext_proc
            extproc: graph together answer upstream_failed ERROR
              extproc: call one 2xx
                envoy: POST one
              extproc: call three reset reset ERROR
                envoy: POST three ERROR
              extproc: call two 5xx 503 ERROR
                envoy: POST two ERROR
        """,
    )
    assert named(spans, "graph together")["attributes"]["http.response.status_code"] == 502


async def test_a_hedge(traced: Running, models: Models):
    """Both attempts are spans of Envoy's below the one call; the loser was cancelled, and is there all the same."""
    sent = Sent()
    asking = asyncio.create_task(sent.ask(traced, "/twice", told(spans_hedged={"stop": "hang"})))
    await models["spans-hedged"].wait_for_requests(2)
    models["spans-hedged"].release()
    assert (await asking).status == 200
    spans = await shows(
        traced,
        sent,
        """
        envoy: POST twice
          envoy: POST last
          envoy: ext_proc
            extproc: graph twice tail <- decision
              extproc: call hedged 2xx <- hedge
                envoy: POST hedged
                envoy: POST hedged
        """,
    )
    call = named(spans, "call hedged")
    assert (call["attributes"]["extproc.attempts"], call["attributes"]["extproc.hedged"]) == (2, True)
    assert call["events"][0]["attributes"] == {"extproc.attempt": 2}


async def test_retries(traced: Running):
    """Each attempt is a span of Envoy's, each further one an event."""
    sent = Sent()
    assert (await sent.ask(traced, "/twice", [("x-how", "retry"), *told(spans_two={"status": 500})])).status == 502
    spans = await shows(
        traced,
        sent,
        """
        envoy: POST twice ERROR
          envoy: ext_proc
            extproc: graph twice answer upstream_failed ERROR <- decision
              extproc: call again 5xx 500 ERROR <- retry,retry
                envoy: POST again ERROR
                envoy: POST again ERROR
                envoy: POST again ERROR
        """,
    )
    assert named(spans, "call again")["attributes"]["extproc.attempts"] == 3


async def test_a_challenge(traced: Running):
    """The challenger's leg is marked as such and linked; its calls, none of them Envoy's own, are below it."""
    sent = Sent()
    assert (await sent.ask(traced, "/duel")).status == 200
    spans = await shows(
        traced,
        sent,
        """
        envoy: POST duel
          envoy: POST champion
          envoy: ext_proc
            extproc: graph duel tail
              extproc: challenger rival answered
                extproc: call next 2xx
                  envoy: POST next
                extproc: call rival 2xx
                  envoy: POST rival
        """,
    )
    leg, graph = named(spans, "challenger rival"), named(spans, "graph duel")
    assert (leg["attributes"]["extproc.leg"], leg["attributes"]["extproc.challenger"]) == ("challenger", "rival")
    assert [(link["traceId"], link["spanId"]) for link in leg["links"]] == [(sent.trace, graph["spanId"])]


async def test_a_challenger_that_fails(traced: Running):
    """It is no error of the request's."""
    sent = Sent()
    assert (await sent.ask(traced, "/duel", told(spans_two={"status": 500}))).status == 200
    await shows(
        traced,
        sent,
        """
        envoy: POST duel
          envoy: POST champion
          envoy: ext_proc
            extproc: graph duel tail
              extproc: challenger rival failed
                extproc: call rival 5xx 500 ERROR
                  envoy: POST rival ERROR
        """,
    )


async def test_a_client_that_left(traced: Running, models: Models):
    """All that was under way ends, and says so."""
    sent = Sent()
    connection = await RawConnection.open(traced.ingress_port)
    headers = [("traceparent", sent.traceparent), *told(spans_one={"stop": "hang"})]
    await connection.send(client.encode("POST", "/line", headers, json={"k": 1}))
    await models["spans-one"].wait_for_requests(1)
    await connection.close()
    await shows(
        traced,
        sent,
        """
        envoy: POST line
          envoy: ext_proc
            extproc: graph line left
              extproc: call first cancelled
                envoy: POST first
        """,
    )


async def test_a_missed_deadline(traced: Running):
    """The call says how little was left to it."""
    sent = Sent()
    assert (await sent.ask(traced, "/late", told(spans_one={"stop": "hang"}))).status == 504
    spans = await shows(
        traced,
        sent,
        """
        envoy: POST late ERROR
          envoy: ext_proc
            extproc: graph late answer deadline ERROR
              extproc: call one timeout timeout ERROR
                envoy: POST one
        """,
    )
    assert 0.2 < named(spans, "call one")["attributes"]["extproc.deadline.left"] <= 0.3
    assert named(spans, "graph late")["attributes"]["extproc.deadline.left"] <= 0.01


async def test_openai(traced: Running):
    """Model and tokens in the conventions' words, and nothing of what was said."""
    sent = Sent()
    said = {
        "id": "chatcmpl-1",
        "model": "guard-7b-0125",
        "choices": [{"finish_reason": "stop", "message": {"content": SECRET}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3},
    }
    body = {"model": "guard-7b", "messages": [{"role": "user", "content": SECRET}]}
    await sent.ask(traced, "/v1/chat/completions", told(spans_one={"json": said}, spans_two={"json": said}), json=body)
    spans = await shows(
        traced,
        sent,
        """
        envoy: POST chat
          envoy: ext_proc
            extproc: graph chat answer
              extproc: call guard 2xx
                envoy: POST guard
              extproc: call llm 2xx
                envoy: POST llm
        """,
    )
    told_ = {key: value for key, value in named(spans, "call guard")["attributes"].items() if key.startswith("gen_ai")}
    assert told_ == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "guard-7b",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "guard-7b-0125",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.response.finish_reasons": ["stop"],
    }
    assert SECRET not in json.dumps(spans)


@pytest.mark.parametrize("path", ["/split", "/line", "/together", "/duel"])
async def test_a_request_that_is_not_sampled(traced: Running, models: Models, path):
    """It makes no span anywhere, and every model is told that it is not sampled, within the client's trace."""
    sent, after = Sent(sampled=False), Sent()
    assert (await sent.ask(traced, path)).status == 200
    await after.ask(traced, "/nowhere")
    for name in STUBS:
        for request in models[name].requests:
            version, trace, _, flags = (request.header("traceparent") or "").split("-")
            assert (version, trace, flags) == ("00", sent.trace, "00")
    await shows(traced, after, "envoy: POST")  # flushed by the same threads, later
    assert spans_of(traced, sent.trace) == []


async def test_the_clients_request_id_is_kept(traced: Running, models: Models):
    """Tracing writes nothing into it."""
    id_ = "0af76519-16cd-43dd-8448-eb211c80319c"
    answer = await Sent().ask(traced, "/split", [("x-request-id", id_)])
    assert answer.header("x-request-id") == id_
    assert models["spans-one"].requests[0].header("x-request-id") == id_


async def test_traces_stay_as_they_were(traced: Running):
    """Whatever came after a trace was looked at: nothing was added to any, and none has an orphan."""
    _, _, text = traced.admin("/traces")
    listed = json.loads(text)
    assert listed["dropped"] == {}
    assert listed["received"] == sum(one["spans"] for one in listed["traces"])  # none came twice
    for one in listed["traces"]:
        spans = spans_of(traced, one["traceId"])
        known = {span["spanId"] for span in spans}
        roots = [span for span in spans if span["parentId"] not in known]
        assert [span["name"].split()[0] for span in roots] == ["POST"], tree(spans, "")
