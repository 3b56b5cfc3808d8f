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
V1 = "/v1/models/m:predict"
BY_TEST = "by: 'request.headers[\"x-test\"]'"
# Figures are of all that came since the start: each test has a graph, or a segment, or a kind of its own.
COMPARED: dict[str, dict[str, str]] = {
    "number": {"compare": "{kind: number, tolerance: 0.05}"},
    "told": {"compare": f"{{{BY_TEST}, tolerance: 0.1}}"},
    "text": {"path": "/v1/chat/completions"},
    "tensor": {"path": "/v2/models/m/infer"},
    "value": {"compare": "{value: 'response.body.answer.score * request.body.scale', tolerance: 0.5}"},
    "asked": {"compare": f"""{{value: 'response.headers["x-score"]', kind: label, {BY_TEST}}}"""},
    "tiers": {"compare": "{by: request.body.tier}"},
    "noise": {"noise": "true"},
}
GRAPHS = "\n---\n".join(
    GRAPH.format(name=name, **{"path": V1, "compare": "{}", "noise": "false", **how}) for name, how in COMPARED.items()
)


async def compared(
    system: Running, name: str, *legs: tuple[Any, Any], headers=(), body: bytes = b"{}"
) -> dict[str, Any]:
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


async def segmented(system: Running, test: str, *legs: tuple[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same with a segment of its own: what is told of that, and of the whole."""
    found = await compared(system, "told", *legs, headers=[("x-test", test)])
    (segment,) = (one for one in found["segments"] if one["segment"] == test)
    return segment, found


async def test_labels(system: Running):
    """They are equal or not; the matrix has the champion's in rows."""
    legs = [("yes", "yes")] * 3 + [("yes", "no")] * 2 + [("no", "yes")]
    segment, found = await segmented(system, "labels", *((v1(ours), v1(theirs)) for ours, theirs in legs))
    assert (segment["counts"]["paired"], segment["agreement"]["value"]) == (6, pytest.approx(0.5))
    confusion = found["confusion"]
    cells = {
        (ours, theirs): confusion["cells"][row][column]
        for row, ours in enumerate(confusion["labels"])
        for column, theirs in enumerate(confusion["labels"])
    }
    assert (cells["yes", "yes"], cells["yes", "no"], cells["no", "yes"], cells["no", "no"]) == (3, 2, 1, 0)


async def test_vectors(system: Running):
    """Every component has to be within the tolerance; direction and furthest component are told."""
    legs = [([1, 0], [1, 0]), ([1, 0], [1.1, 0]), ([1, 0], [0, 1]), ([1, 0], [-1, 0])]
    segment, found = await segmented(system, "vectors", *((v1(ours), v1(theirs)) for ours, theirs in legs))
    assert (segment["counts"]["paired"], segment["agreement"]["value"]) == (4, pytest.approx(0.5))
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
    segment, _ = await segmented(system, "batch", *legs)
    assert (segment["counts"]["paired"], segment["agreement"]["samples"]) == (3, 3)
    assert segment["agreement"]["value"] == pytest.approx((0.75 + 0 + 1) / 3, abs=0.001)


async def test_another_number_or_kind_of_predictions(system: Running):
    """A challenger that answers more or fewer than it was asked, or another kind, says nothing that can be compared."""
    legs = [(v1(1, 2), v1(1)), (v1(1), v1([1, 2])), (v1(1), v1("1")), (v1("a"), v1(1)), (v1(1), v1(1))]
    segment, _ = await segmented(system, "other", *legs)
    assert (segment["counts"]["paired"], segment["counts"]["unparsable"]) == (1, 4)
    assert segment["errors"]["challenger"]["unparsable"] == 4


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
    """It may be a header's, then no leg has to say JSON; and numbers may be asked to be labels."""
    watched = Watched(system, "kind-asked")
    for ours, theirs in (("a", "a"), ("a", "b"), ("1", "1.0")):
        legs = [{"size": 10, "headers": {"x-score": score}} for score in (ours, theirs)]
        answer = await post(system, "/kind-asked", told(kind_champ=legs[0], kind_rival=legs[1]))
        assert (answer.status, len(answer.body)) == (200, 10)
    found = one_of(await watched.settled(3))
    assert (found["kind"], found["agreement"]["value"]) == ("label", pytest.approx(1 / 3, abs=0.001))


async def test_segments(system: Running):
    """``compare.by`` tells every figure apart; a request without its value is in a segment of its own."""
    found = {}
    for tier, legs in (("gold", [(1, 1), (1, 2)]), ("iron", [(1, 1)]), (None, [(1, 2)])):
        body = b'{"tier": "%s"}' % tier.encode() if tier else b"{}"
        found = await compared(system, "tiers", *((v1(a), v1(b)) for a, b in legs), body=body)
    segments = {one["segment"]: one for one in found["segments"]}
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
        answer = await post(system, "/kind-noise", body=b'{"instances": [%d]}' % number)
        assert answer.json() in ([v1(1), v1(2)] if number < 3 else [v1(1)])
        await watched.settled(number + 1)
    rival.behave()
    found = one_of(watched.report())
    assert [seen.json() for seen in champion.requests] == [{"instances": [number // 2]} for number in range(8)]
    assert found["agreement"]["value"] == pytest.approx(0)
    assert (found["noise"]["value"], found["noise"]["samples"]) == (pytest.approx(0.75), 4)
    assert found["beyondNoise"]["value"] == pytest.approx(0.75)  # (0 + 1 - its agreement with itself), of 0, 0, 0 and 1


async def test_examples(system: Running):
    """Pairs that disagree are kept with what both said, and the request's id; bodies are not."""
    legs = [(v1(1), v1(1)), (v1("a"), v1("b")), (v1([1, 2]), v1([1, 3]))]
    found: dict[str, Any] = {}
    for number, leg in enumerate(legs):
        found = await compared(
            system, "told", leg, headers=[("x-request-id", f"pair-{number}"), ("x-test", "examples")]
        )
    said = {
        one["requestId"]: (one["champion"], one["challenger"], one["body"])
        for one in found["examples"]
        if one["segment"] == "examples"
    }
    assert said == {"pair-1": (["a"], ["b"], None), "pair-2": ([[1, 2]], [[1, 3]], None)}
