"""What the legs say is compared by its kind: told from protocol and values, or as the graph says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.envoy.challenged import Watched, one_of, post, told

if TYPE_CHECKING:
    from tests.envoy.models import Models
    from tests.envoy.running import Running

pytestmark = pytest.mark.envoy

GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: kind-{name}}}
spec:
  match: [{{path: /kind-{name}}}]
  timeout: 2s
  models:
    champ: {{url: "http://<kind-champ>{path}"}}
    rival: {{url: "http://<kind-rival>{path}"}}
  nodes:
    root: {{challenge: {{champion: champ, challengers: [{{name: rival, to: rival}}], compare: {compare}, noise: {noise}}}}}
"""
# One graph for each test: a report's figures are of all that came since the start.
COMPARED: dict[str, dict[str, str]] = {
    "number": {"compare": "{kind: number, tolerance: 0.05}"},
    "label": {},
    "vector": {"compare": "{tolerance: 0.1}"},
    "text": {"path": "/v1/chat/completions"},
    "tensor": {"path": "/v2/models/m/infer"},
    "batch": {},
    "value": {"compare": "{value: 'response.body.answer.score * request.body.scale', tolerance: 0.5}"},
    "valueheader": {"compare": """{value: 'response.headers["x-score"]', kind: label}"""},
    "asked": {"compare": "{kind: label}"},
    "segments": {"compare": """{by: 'request.headers["x-tenant"]'}"""},
    "bodysegments": {"compare": "{by: request.body.tier}"},
    "noise": {"noise": "true"},
    "quiet": {"noise": "true"},
    "lone": {},
    "mixed": {},
}
GRAPHS = "\n---\n".join(
    GRAPH.format(name=name, **{"path": "/v1/models/m:predict", "compare": "{}", "noise": "false", **how})
    for name, how in COMPARED.items()
)


async def compared(system: Running, name: str, *legs: tuple[Any, Any], headers=(), body: bytes = b"{}") -> dict[str, Any]:
    """What the report says of the challenger after requests that both legs answered with these documents."""
    watched = Watched(system, f"kind-{name}")
    for champion, challenger in legs:
        sent = [*headers, *told(kind_champ={"json": champion}, kind_rival={"json": challenger})]
        answer = await post(system, f"/kind-{name}", sent, body)
        assert (answer.status, answer.json()) == (200, champion)
    return one_of(await watched.settled(len(legs)))


def v1(*predictions: Any) -> dict[str, Any]:
    """A response of the V1 protocol."""
    return {"predictions": list(predictions)}


async def test_numbers(system: Running):
    """They agree within the tolerance; bias, quantiles and the number of equal ones are told."""
    legs = [(v1(1.0), v1(1.0)), (v1(1.0), v1(1.05)), (v1(1), v1(1.06)), (v1(2), v1(1.5))]
    found = await compared(system, "number", *legs)
    assert (found["kind"], found["counts"]["paired"]) == ("number", 4)
    assert found["agreement"]["value"] == pytest.approx(0.5)
    difference = found["difference"]
    assert (difference["values"], difference["equal"], difference["tolerance"]) == (4, 1, 0.05)
    assert difference["bias"] == pytest.approx((0.05 + 0.06 - 0.5) / 4)
    assert difference["max"] == pytest.approx(0.5, rel=0.02)


async def test_labels(system: Running):
    """They are equal or not; the matrix has the champion's in rows."""
    legs = [("yes", "yes")] * 3 + [("yes", "no")] * 2 + [("no", "yes")]
    found = await compared(system, "label", *((v1(ours), v1(theirs)) for ours, theirs in legs))
    assert (found["kind"], found["agreement"]["value"]) == ("label", pytest.approx(0.5))
    assert found["confusion"] == {"labels": ["yes", "no"], "cells": [[3, 2], [1, 0]], "other": 0}


async def test_vectors(system: Running):
    """Every component has to be within the tolerance; direction and furthest component are told."""
    legs = [([1, 0], [1, 0]), ([1, 0], [1.1, 0]), ([1, 0], [0, 1]), ([1, 0], [-1, 0])]
    found = await compared(system, "vector", *((v1(ours), v1(theirs)) for ours, theirs in legs))
    assert (found["kind"], found["agreement"]["value"]) == ("vector", pytest.approx(0.5))
    assert found["vector"]["cosine"]["mean"] == pytest.approx((1 + 1 + 0 - 1) / 4, abs=0.001)
    assert found["vector"]["furthest"]["max"] == pytest.approx(2, rel=0.02)


async def test_texts(system: Running):
    """Generated texts are the same but for white space around them; how similar the others are is told."""

    def says(text: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    legs = [("a cat", "a cat\n"), ("a cat", "a car"), ("abc", "xyz")]
    found = await compared(system, "text", *((says(ours), says(theirs)) for ours, theirs in legs))
    assert (found["kind"], found["counts"]["paired"]) == ("text", 3)
    assert found["agreement"]["value"] == pytest.approx(1 / 3, abs=0.001)
    assert found["text"]["exact"] == pytest.approx(1 / 3, abs=0.001)
    assert found["text"]["similarity"]["mean"] == pytest.approx((1 + 0.8 + 0) / 3, abs=0.001)


async def test_tensors(system: Running):
    """V2's outputs are read by their shape: a row is an element."""

    def output(data: list[float], *shape: int) -> dict[str, Any]:
        return {"outputs": [{"name": "y", "datatype": "FP32", "shape": list(shape), "data": data}]}

    legs = [(output([1, 2, 3, 4], 2, 2), output([1, 2, 3, 5], 2, 2)), (output([1, 2], 2, 1), output([1, 2], 2))]
    found = await compared(system, "tensor", *legs)
    assert found["counts"]["paired"] == 2
    assert (found["elements"], found["agreement"]["value"]) == (4, pytest.approx(0.75))


async def test_a_batch_is_one_sample(system: Running):
    """Its agreement is the share of its elements that agree."""
    legs = [(v1(1, 2, 3, 4), v1(1, 2, 3, 5)), (v1(1), v1(2)), (v1(), v1())]
    found = await compared(system, "batch", *legs)
    assert found["counts"]["paired"] == 3
    assert (found["elements"], found["agreement"]["samples"]) == (5, 3)
    assert found["agreement"]["value"] == pytest.approx((0.75 + 0 + 1) / 3, abs=0.001)
    assert found["difference"]["values"] == 5


async def test_another_number_of_predictions(system: Running):
    """A challenger that answers more or fewer than it was asked says nothing that can be compared."""
    found = await compared(system, "lone", (v1(1, 2), v1(1)), (v1(1), v1([1, 2])), (v1(1), v1("1")), (v1(1), v1(1)))
    assert (found["counts"]["paired"], found["counts"]["unparsable"]) == (1, 3)
    assert found["unparsableBy"] == {"champion": 0, "challenger": 3}


async def test_a_value_of_the_graphs(system: Running):
    """``compare.value`` is evaluated on both legs, and may look at the request; a leg without it is unparsable."""
    legs = [(1, 1.2), (1, 1.3), (2, 1)]
    answers = [({"answer": {"score": ours}}, {"answer": {"score": theirs}}) for ours, theirs in legs]
    found = await compared(system, "value", *answers, body=b'{"scale": 2}')
    assert (found["kind"], found["agreement"]["value"]) == ("number", pytest.approx(1 / 3, abs=0.001))
    found = await compared(system, "value", (answers[0][0], {"other": 1}), ({"other": 1}, answers[0][0]))
    assert found["unparsableBy"] == {"champion": 2, "challenger": 0}  # without request.body.scale neither has a value
    found = await compared(system, "value", (answers[0][0], {"other": 1}), body=b'{"scale": 2}')
    assert found["unparsableBy"] == {"champion": 2, "challenger": 1}


async def test_a_value_in_a_header(system: Running):
    """It may be a header's; then no leg has to say JSON."""
    watched = Watched(system, "kind-valueheader")
    for ours, theirs in (("a", "a"), ("a", "b")):
        legs = [{"size": 10, "headers": {"x-score": score}} for score in (ours, theirs)]
        answer = await post(system, "/kind-valueheader", told(kind_champ=legs[0], kind_rival=legs[1]))
        assert (answer.status, len(answer.body)) == (200, 10)
    found = one_of(await watched.settled(2))
    assert (found["kind"], found["agreement"]["value"]) == ("label", pytest.approx(0.5))


async def test_a_kind_of_the_graphs(system: Running):
    """Numbers that are classes are compared as labels where the graph says so."""
    found = await compared(system, "asked", (v1(1), v1(1.0)), (v1(2), v1(3)))
    assert (found["kind"], found["agreement"]["value"]) == ("label", pytest.approx(0.5))
    assert found["confusion"]["labels"] == ["1", "2", "3"]


@pytest.mark.parametrize("where", ["header", "body"])
async def test_segments(system: Running, where):
    """``compare.by`` tells every figure apart; a request without its value is in a segment of its own."""
    graph = "segments" if where == "header" else "bodysegments"
    for tenant, legs in (("gold", [(1, 1), (1, 2)]), ("iron", [(1, 1)]), (None, [(1, 2)])):
        headers = [("x-tenant", tenant)] if tenant and where == "header" else []
        body = b'{"tier": "%s"}' % tenant.encode() if tenant else b"{}"
        found = await compared(system, graph, *((v1(a), v1(b)) for a, b in legs), headers=headers, body=body)
    segments = {one["segment"]: one for one in found["segments"]}
    assert segments.keys() == {"gold", "iron", "(none)"}
    assert {name: one["counts"]["paired"] for name, one in segments.items()} == {"gold": 2, "iron": 1, "(none)": 1}
    agreement = {name: one["agreement"]["value"] for name, one in segments.items()}
    assert agreement == {"gold": pytest.approx(0.5), "iron": pytest.approx(1), "(none)": pytest.approx(0)}
    assert segments["gold"]["latency"]["challenger"]["samples"] == 2
    assert found["agreement"]["samples"] == 4


async def test_noise(system: Running, models: Models):
    """The champion is called a second time; how much it disagrees with itself is told, and taken off."""
    watched = Watched(system, "kind-noise")
    champion, rival = models["kind-champ"], models["kind-rival"]
    champion.forget()
    rival.behave(json=v1(3))
    for number in range(4):
        # The champion says 1 to one of its calls and 2 to the other, but for the last request: the challenger says 3.
        champion.script({"json": v1(1)}, {"json": v1(2 if number < 3 else 1)})
        answer = await post(system, "/kind-noise")
        assert answer.json() in ([v1(1), v1(2)] if number < 3 else [v1(1)])
        await watched.settled(number + 1)
    found = one_of(watched.report())
    assert len(champion.requests) == 8
    assert found["agreement"]["value"] == pytest.approx(0)
    assert (found["noise"]["value"], found["noise"]["samples"]) == (pytest.approx(0.75), 4)
    assert found["beyondNoise"]["value"] == pytest.approx(0.75)  # (0 + 1 - its agreement with itself), of 0, 0, 0 and 1
    rival.behave()


async def test_without_noise(system: Running, models: Models):
    """A champion that always says the same has none; its second call is of the same request, and nobody's answer."""
    models["kind-champ"].forget()
    body = b'{"instances": [[1, 2]]}'
    found = await compared(system, "quiet", *[(v1(1), v1(1))] * 3, body=body)
    assert found["noise"]["value"] == pytest.approx(0)
    assert found["beyondNoise"]["value"] == pytest.approx(1)
    assert [seen.body for seen in models["kind-champ"].requests] == [body] * 6
    assert found["counts"]["paired"] == 3


async def test_examples(system: Running):
    """Pairs that disagree are kept with what both said, and the request's id; bodies are not."""
    legs = [(v1(1), v1(1)), (v1("a"), v1("b")), (v1([1, 2]), v1([1, 3]))]
    for number, leg in enumerate(legs):
        found = await compared(system, "mixed", leg, headers=[("x-request-id", f"pair-{number}")])
    said = {one["requestId"]: (one["champion"], one["challenger"], one["body"]) for one in found["examples"]}
    assert said == {"pair-1": (["a"], ["b"], None), "pair-2": ([[1, 2]], [[1, 3]], None)}
