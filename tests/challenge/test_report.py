"""A report's document: its counts are all requests, its figures are those of the evidence, and it is JSON."""

import json
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from extproc.challenge import figures
from extproc.challenge.document import read
from extproc.challenge.evidence import (
    CHAMPION_FAILED,
    CHAMPION_UNPARSABLE,
    FAILED,
    INTERRUPTED,
    PAIRED,
    TIMEOUT,
    UNITS,
    UNPARSABLE,
    UNSAMPLED,
    UNSUPPORTED,
    Evidence,
    Truth,
    merged,
)
from extproc.challenge.guardrails import judge
from extproc.challenge.histogram import GRAINS, bucket, grain, upper
from extproc.challenge.page.page import page
from extproc.challenge.report import DECISIONS, report
from extproc.challenge.reported.course import decided, point
from extproc.challenge.reported.curves import MIDDLE
from extproc.challenge.store.history import Decision, Point
from extproc.challenge.store.standing import Standing
from extproc.challenge.wording import points
from extproc.commands.report_table import ReportTable
from extproc.graph.document import AtLeast, Challenger, Guardrails, Node, Respond
from tests.challenge.evidences import AT, RAILS, evidences, realistic, record, standing, standings, subject
from tests.challenge.markup import elements
from tests.challenge.reports import BRIEFLY

BOTH = subject(Challenger(name="gbm", to="fraud-v2", sample=0.25), Challenger(name="tiny", to="t", by="request.path"))
SLOWLY = settings(BRIEFLY, max_examples=15)


def one(evidence, **changed):
    """The report on the only challenger, of evidence that is in no segment."""
    known = standing(gbm={"": evidence})
    (challenger,) = report(subject(**changed), known, AT)["challengers"]
    return challenger


@given(standings())
@SLOWLY
def test_counts_add_up(known):
    """For each challenger the counts are all requests that reached the challenge, none of them below zero."""
    document = report(BOTH, known, AT)
    for challenger in document["challengers"]:
        assert sum(challenger["counts"].values()) == document["eligible"] >= known.eligible
        assert min(challenger["counts"].values()) >= 0
        assert sum(challenger["unparsableBy"].values()) == challenger["counts"]["unparsable"]


@given(standings())
@SLOWLY
def test_it_is_json(known):
    """Every number is finite, the document is read as what it is, and the same standing makes the same one."""
    document = report(BOTH, known, AT)
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    assert msgspec.json.decode(msgspec.json.encode(read(document))) == document
    assert report(BOTH, known, AT) == document


@given(standings())
@SLOWLY
def test_it_can_be_shown(known):
    """Whatever the evidence, there is a page and a table."""
    document = report(BOTH, known, AT)
    assert page(document).endswith("</html>\n")
    console = Console(width=100, record=True, file=None, quiet=True)
    console.print(ReportTable(document))


@given(st.lists(evidences(), min_size=2, max_size=3), st.randoms(use_true_random=False))
@SLOWLY
def test_segments_add_up_to_the_whole(parts, chance):
    """However evidence is divided into segments, the figures of the whole are the same."""
    whole = Evidence()
    for part in chance.sample(parts, len(parts)):
        merged(whole, msgspec.convert(msgspec.to_builtins(part), Evidence, str_keys=True))
    divided = report(subject(), standing(gbm={f"s{index}": part for index, part in enumerate(parts)}), AT)
    assert len(divided["challengers"][0].pop("segments")) == len(parts)
    together = report(subject(), standing(gbm={"": whole}), AT)
    assert together["challengers"][0].pop("segments") == []
    assert divided == together


def test_figures_are_those_of_the_evidence():
    """Each with the confidence sequence that the graph's confidence asks for."""
    evidence = realistic()
    shown = one(evidence)
    verdict = judge(evidence, RAILS, 0.95)
    agreement = figures.share(evidence.agreement, 1 - 0.95)
    known = {"value": agreement.value, "low": agreement.low, "high": agreement.high, "samples": 4000}
    assert shown["agreement"] == known
    assert shown["verdict"] == verdict.verdict == "promote"
    for name, rail in verdict.rails.items():
        said = shown["guardrails"][name]
        assert (said["verdict"], said["value"], said["low"], said["high"]) == (
            rail.verdict,
            rail.value,
            rail.low,
            rail.high,
        )
    assert {name: said["bound"] for name, said in shown["guardrails"].items()} == {
        "agreement": {"min": 0.97},
        "errors": {"max": 0.01},
        "latency": {"p95Ratio": 1.5},
        "truth": {"minGain": 0.0, "metric": "accuracy"},
    }
    assert shown["kind"] == "number"
    assert shown["elements"] == 4000
    assert shown["noise"] is shown["beyondNoise"] is shown["confusion"] is shown["vector"] is shown["text"] is None


def test_nothing_is_known_yet():
    """Before the first request, what is not known is None, and not a figure."""
    document = report(subject(), Standing(challenge="0f" * 8), AT)
    (shown,) = document["challengers"]
    assert document["eligible"] == 0
    assert set(shown["counts"].values()) == {0}
    assert shown["agreement"] == {"value": None, "low": None, "high": None, "samples": 0}
    assert {rail["low"] for rail in shown["guardrails"].values()} == {None}
    assert shown["latency"] is shown["difference"] is shown["truth"] is shown["kind"] is None
    assert shown["sampling"]["observed"] is None
    assert shown["history"] == []
    assert shown["reason"] == "No sample yet for agreement, errors, latency and truth."


def test_requests_that_nobody_booked_are_pending():
    """What a worker has counted and not told is in a count too, for a challenger that is not known yet as well."""
    document = report(BOTH, standing(eligible=900, gbm={"": Evidence(outcomes={PAIRED: 700})}), AT)
    assert [challenger["counts"]["pending"] for challenger in document["challengers"]] == [200, 900]


def test_errors_of_both_legs():
    """The challenger's among what was compared or failed by it; the champion's among those whose end is known."""
    shown = one(
        Evidence(
            outcomes={
                PAIRED: 90,
                FAILED: 3,
                TIMEOUT: 2,
                UNPARSABLE: 5,
                CHAMPION_UNPARSABLE: 6,
                CHAMPION_FAILED: 4,
                INTERRUPTED: 50,
                UNSAMPLED: 500,
            }
        )
    )
    assert shown["errors"]["champion"] == {"failed": 4, "rate": 4 / 110}
    challenger = shown["errors"]["challenger"]
    assert (challenger["failed"], challenger["timeout"], challenger["unparsable"]) == (3, 2, 5)
    assert challenger["rate"] == 10 / 100
    assert challenger["low"] < 0.1 < challenger["high"]
    assert shown["counts"]["unparsable"] == 11
    assert shown["unparsableBy"] == {"champion": 6, "challenger": 5}


def test_the_champions_noise_is_taken_off():
    """Half of the pairs disagree, and so does the champion with itself: beyond its noise there is no difference."""
    shown = one(
        Evidence(
            outcomes={PAIRED: 2000},
            agreement={GRAINS: 1000, 0: 1000},
            noise={GRAINS: 1000, 0: 1000},
            beyond_noise={grain(0.5): 2000},
        )
    )
    assert shown["agreement"]["value"] == shown["noise"]["value"] == 0.5
    assert shown["beyondNoise"]["value"] == 1.0
    assert shown["guardrails"]["agreement"]["value"] == 1.0


def test_latency_is_told_in_milliseconds():
    """Quantiles within a bucket's width, the ratio of the p95s, and curves that rise to 1."""
    evidence = Evidence(
        champion_latency={bucket(10_000): 95, bucket(40_000): 5}, challenger_latency={bucket(20_000): 50}
    )
    shown = one(evidence)["latency"]
    assert shown["champion"]["p50"] == pytest.approx(10, rel=0.011)
    assert shown["champion"]["p99"] == pytest.approx(40, rel=0.011)
    assert (shown["champion"]["samples"], shown["challenger"]["samples"]) == (100, 50)
    assert shown["ratio"]["value"] == pytest.approx(2, rel=0.021)
    assert [share for _, share in shown["curves"]["champion"]] == [0.95, 1.0]
    assert shown["curves"]["champion"][0][0] == pytest.approx(10, rel=0.011)


def test_a_curve_is_thinned():
    """As many points as a card has room for, and the last is the slowest."""
    histogram = dict.fromkeys(range(900, 1300), 1)
    points = one(Evidence(champion_latency=histogram))["latency"]["curves"]["champion"]
    assert 100 <= len(points) <= 120
    assert points[-1] == [upper(1299) / 1000, 1.0]
    assert all(before[0] < after[0] and before[1] < after[1] for before, after in pairwise(points))


def test_difference_of_numbers():
    """Bias and quantiles of the absolute difference, those that are equal among them; bars hold all others."""
    evidence = Evidence(
        differences=100,
        equal=60,
        difference_sum=round(1.5 * UNITS) * 20,
        above={bucket(2.0): 30},
        below={bucket(3.0): 10},
        boundless=2,
    )
    shown = one(evidence, tolerance=0.25)["difference"]
    assert (shown["values"], shown["equal"], shown["boundless"], shown["tolerance"]) == (102, 60, 2, 0.25)
    assert shown["bias"] == 0.3
    assert shown["p50"] == 0.0
    assert shown["p90"] == pytest.approx(2, rel=0.011)
    assert shown["p95"] == shown["p99"] == pytest.approx(3, rel=0.011)
    assert shown["max"] == pytest.approx(3, rel=0.011)
    assert [bar for bar in shown["histogram"] if bar[2]] == [
        [pytest.approx(-3.2), pytest.approx(-3.0), 10],
        [pytest.approx(1.8), pytest.approx(2.0), 30],
    ]


@given(evidences())
@BRIEFLY
def test_bars_hold_every_difference(evidence):
    """From edge to edge, without a gap, each difference in the bar that it lies in; all but the ends are as wide."""
    evidence.differences = 1
    shown = one(evidence)["difference"]
    bars = shown["histogram"]
    assert sum(times for _, _, times in bars) == sum(evidence.above.values()) + sum(evidence.below.values())
    assert all(low < high for low, high, _ in bars)
    assert all(before[1] == after[0] for before, after in pairwise(bars))
    signed = [(upper(at) * MIDDLE, times) for at, times in evidence.above.items()]
    signed += [(-upper(at) * MIDDLE, times) for at, times in evidence.below.items()]
    for low, high, times in bars:
        assert times == sum(each for middle, each in signed if low <= middle < high)
    widths = [high - low for low, high, _ in bars[1:-1]]
    assert widths == pytest.approx(widths[:1] * len(widths))


def test_bars_go_to_where_values_disagree():
    """To twice the tolerance, unless that were far more than most differences: then these would all be in one bar."""
    evidence = Evidence(differences=100, above={bucket(0.9): 50}, below={bucket(0.9): 50})
    ends = [one(evidence, tolerance=tolerance)["difference"]["histogram"][-1][1] for tolerance in (0.1, 1.0, 99.0)]
    assert ends == [1.0, 2.0, 4.0]


def test_confusion_of_labels():
    """The labels given most often; a text that reads like another value is quoted; the rest is counted."""
    many = {f'["l{index:02d}","l{index:02d}"]': 100 - index for index in range(20)}
    shown = one(Evidence(confusion={**many, '["1",1]': 500, '["l00",1]': 7, "other": 9}))["confusion"]
    assert shown["labels"][:4] == ["1", '"1"', "l00", "l01"]
    assert len(shown["labels"]) == len(shown["cells"]) == 12
    assert shown["cells"][1][0] == 500
    assert shown["cells"][2][0] == 7
    assert shown["other"] == sum(100 - index for index in range(10, 20)) + 9


def test_vectors_and_texts():
    """Cosines from -1 to 1, the components that are furthest apart, and texts that are the same."""
    evidence = Evidence(
        kinds={"text": 4},
        agreement={GRAINS: 1, 0: 3},
        cosine={grain(0.5): 5, grain(1.0): 95},
        furthest={bucket(0.5): 10},
        same_vectors=90,
        similarity={GRAINS: 1, 4000: 3},
    )
    shown = one(evidence)
    assert shown["vector"]["cosine"] == {"mean": pytest.approx(0.95), "p05": 0.0}
    assert shown["vector"]["furthest"] == {
        "p50": 0.0,
        "p95": pytest.approx(0.5, rel=0.011),
        "max": pytest.approx(0.5, rel=0.011),
    }
    assert shown["text"]["exact"] == 0.25
    assert shown["text"]["similarity"]["mean"] == pytest.approx(0.55)
    assert [bar for bar in shown["text"]["similarity"]["histogram"] if bar[2]] == [[0.4, 0.45, 3], [0.95, 1.0, 1]]


def test_what_labels_and_rewards_say():
    """Means of both legs, gains with their sequence, and rewards apart where the legs agreed."""
    truth = Truth(
        joined=10,
        unusable=1,
        champion_accuracy={0: 4, GRAINS: 6},
        challenger_accuracy={0: 2, GRAINS: 8},
        accuracy_gain={grain(0.5): 8, GRAINS: 2},
        champion_error_sum=30 * UNITS,
        challenger_error_sum=20 * UNITS,
        errors=10,
        error_gain={grain(0.6): 10},
        rewarded=4,
        reward_sum=10 * UNITS,
        agreed=3,
        agreed_reward_sum=9 * UNITS,
    )
    known = standing(gbm={"": Evidence(truth=truth)})
    known = msgspec.structs.replace(known, waiting=5)
    shown = report(subject(), known, AT)["challengers"][0]["truth"]
    assert (shown["joined"], shown["unusable"], shown["waiting"]) == (10, 1, 5)
    assert (shown["accuracy"]["champion"], shown["accuracy"]["challenger"]) == (0.6, 0.8)
    assert shown["accuracy"]["gain"] == pytest.approx(0.2)
    assert shown["accuracy"]["low"] < 0.2 < shown["accuracy"]["high"]
    assert (shown["error"]["champion"], shown["error"]["challenger"]) == (3.0, 2.0)
    assert shown["error"]["gain"] == pytest.approx(0.2)
    assert shown["brier"] is None
    assert shown["reward"] == {"requests": 4, "mean": 2.5, "whereAgreed": 3.0, "whereNot": 1.0}


def test_a_sample_that_is_as_asked():
    """The test is of requests that could have been sampled; sticky sampling is not tested."""
    outcomes = {UNSAMPLED: 7500, PAIRED: 2400, FAILED: 100, UNSUPPORTED: 5000}
    known = standing(gbm={"": Evidence(outcomes=outcomes)}, tiny={"": Evidence(outcomes=outcomes)})
    random, sticky = report(BOTH, known, AT)["challengers"]
    assert random["sampling"]["observed"] == 0.25
    assert not random["sampling"]["mismatch"]
    assert sticky["sampling"] is None


def test_a_sample_that_is_not_as_asked():
    """A fifth where a quarter is asked, in ten thousand requests, is no chance."""
    found = one(Evidence(outcomes={UNSAMPLED: 8000, PAIRED: 2000}))["sampling"]
    assert found["mismatch"]
    assert found["eValue"] > 1000
    assert found["observed"] == 0.2


@pytest.mark.parametrize("unknown", ["pending", "interrupted"])
@pytest.mark.parametrize(("unsampled", "paired"), [(750, 50), (450, 150)], ids=["all sampled", "as asked"])
def test_what_nobody_knows_raises_no_alarm(unknown, unsampled, paired):
    """A challenger that hangs holds sampled requests back; a killed worker had requests of either kind."""
    held = 1000 - unsampled - paired
    outcomes = {UNSAMPLED: unsampled, PAIRED: paired} | ({INTERRUPTED: held} if unknown == "interrupted" else {})
    document = report(subject(), standing(eligible=1000, gbm={"": Evidence(outcomes=outcomes)}), AT)
    (shown,) = document["challengers"]
    assert shown["counts"][unknown] == held
    assert not shown["sampling"]["mismatch"]
    assert shown["sampling"]["observed"] == paired / (paired + unsampled)


@pytest.mark.parametrize("paired", [50, 550])
def test_what_is_known_raises_the_alarm(paired):
    """The same requests, of which everybody knows whether they were sampled."""
    assert one(Evidence(outcomes={UNSAMPLED: 1000 - paired, PAIRED: paired}))["sampling"]["mismatch"]


REASONS = [
    (realistic(), RAILS, "Every guardrail holds with 95% confidence: agreement, errors, latency and truth."),
    (realistic(), Guardrails(), "The graph sets no guardrail, so there is no verdict to come to."),
    (realistic(), Guardrails(agreement=AtLeast(min=0.5)), "Every guardrail holds with 95% confidence: agreement."),
]


@pytest.mark.parametrize(("evidence", "rails", "said"), REASONS)
def test_the_reason_of_a_verdict(evidence, rails, said):
    """In a sentence for people."""
    assert one(evidence, rails=rails)["reason"] == said


def test_the_reason_to_reject_is_what_broke():
    """Only the guardrails that fail clearly enough, with their figures and what was asked."""
    shown = one(realistic(agreed=0.9))
    assert shown["verdict"] == "reject"
    rail = shown["guardrails"]["agreement"]
    bounds = [f"{rail[name] * 100:.1f}" for name in ("value", "low", "high")]
    assert shown["reason"].startswith(f"Agreement is {bounds[0]}% ({bounds[1]}% ")
    assert shown["reason"].endswith(f"{bounds[2]}%), and at least 97% is asked.")


def test_the_reason_of_no_verdict_is_what_is_missing():
    """How many more samples, or that nobody can say."""
    known = one(realistic(40))
    assert known["verdict"] == "collecting"
    needed = known["guardrails"]["agreement"]["needed"]
    assert f"agreement (about {needed:,} more samples)" in known["reason"]


def test_segments_are_ordered_by_their_pairs():
    """What is in no segment is in the whole alone."""
    known = standing(gbm={"": realistic(30), "us": realistic(20), "eu": realistic(50), "(other)": realistic(20)})
    (shown,) = report(subject(), known, AT)["challengers"]
    assert [one["segment"] for one in shown["segments"]] == ["eu", "(other)", "us"]
    assert shown["counts"]["paired"] == 120
    assert shown["segments"][0]["counts"]["paired"] == 50
    assert shown["segments"][0]["latency"]["champion"]["samples"] == 50
    assert shown["segments"][0]["latency"]["curves"] == {"champion": [], "challenger": []}
    assert shown["segments"][0]["truth"]["accuracy"]["champion"] == pytest.approx(0.9, abs=0.1)


def shown_examples(*records):
    known = msgspec.structs.replace(standing(gbm={"": Evidence()}), examples={"gbm": {"": list(records)}})
    return report(subject(), known, AT)["challengers"][0]["examples"]


def test_the_worst_examples_come_first():
    """Those that agree least, the newer first, as many as a person reads."""
    records = [record(number, [1], [2], agreement=number % 2 / 2) for number in range(80)]
    found = shown_examples(*records)
    assert [one["requestId"] for one in found[:2]] == ["request-0", "request-2"]
    assert [one["agreement"] for one in found] == [0.0] * 40 + [0.5] * 10


def test_an_example_says_what_both_said():
    """With its latencies in milliseconds, its segment and its body."""
    (found,) = shown_examples(
        record(1, [0.1], [0.9], champion_latency=0.0182, challenger_latency=0.5, body="{}", segment="eu")
    )
    assert (found["champion"], found["challenger"], found["places"]) == ([0.1], [0.9], None)
    assert found["championLatency"] == pytest.approx(18.2)
    assert (found["challengerLatency"], found["body"], found["segment"]) == (500.0, "{}", "eu")


def test_a_large_batch_shows_where_it_differs():
    """Only the places at which the legs differ, and which these are."""
    champion = list(range(1000))
    challenger = [number + (number in {7, 900}) for number in champion]
    (found,) = shown_examples(record(1, champion, challenger))
    assert (found["places"], found["champion"], found["challenger"]) == ([7, 900], [7, 900], [8, 901])
    assert "challenger [900]901" in "".join(page_text(found))


def page_text(example):
    document = report(subject(), standing(), AT)
    document["challengers"][0]["examples"] = [example]
    return (element.text for element in elements(page(document)) if element.tag == "main")


def test_a_large_value_is_cut():
    """Texts, vectors and objects to what a person reads; the ellipsis says that there was more."""
    deep = [[[[[1]]]]]
    (found,) = shown_examples(
        record(1, ["x" * 5000], [[0.5] * 400]),
    )
    assert found["champion"] == ["x" * 1000 + "…"]
    assert found["challenger"] == [[0.5] * 16 + ["… 384 more"]]
    (found,) = shown_examples(record(1, [{str(number): number for number in range(99)}], deep))
    assert found["champion"][0]["…"] == "83 more"
    assert found["challenger"] == [[[["…"]]]]


def test_history_is_what_was_kept_and_what_is():
    """Points in the order of time, then the figures of now; what a later version kept is left out."""
    evidence = realistic(200)
    verdict = judge(evidence, RAILS, 0.95)
    points = [
        Point(AT - 120, point(verdict, 100)),
        Point(AT - 60, {"guardrails": {"agreement": "high"}}),
        Point(AT - 50, ["unknown"]),
        Point(AT - 40, {"samples": 0, "guardrails": {}}),
        Point(AT + 5, point(verdict, 300)),
    ]
    known = msgspec.structs.replace(standing(gbm={"": evidence}), points={"gbm": points})
    history = report(subject(), known, AT)["challengers"][0]["history"]
    assert [(moment["at"], moment["samples"]) for moment in history] == [(AT - 120, 100), (AT, 200)]
    rail = verdict.rails["truth"]
    assert history[0]["guardrails"]["truth"] == [rail.value, rail.low, rail.high]


def test_decisions_are_told_with_rule_and_figures():
    """What ``decided`` kept comes back as verdict, rule and guardrails; anything else as it was kept."""
    verdict = judge(realistic(), RAILS, 0.95)
    rollback = Decision(
        at=AT - 9, challenge="", graph="fraud", generation="1a2b", challenger="gbm", event="rollback", figures=[1]
    )
    said = decided(verdict, RAILS, 0.95)
    promotion = msgspec.structs.replace(rollback, at=AT, event="promotion", forced=True, figures=said)
    kept = [rollback, promotion]
    document = report(subject(), msgspec.structs.replace(standing(), decisions=kept), AT)
    rolled, promoted = document["decisions"]
    assert (rolled["event"], rolled["figures"], rolled["rule"], rolled["verdict"]) == ("rollback", [1], None, None)
    assert (promoted["verdict"], promoted["forced"], promoted["generation"]) == ("promote", True, "1a2b")
    assert promoted["rule"]["latency"] == {"p95Ratio": 1.5}
    assert promoted["rule"]["confidence"] == 0.95
    assert promoted["figures"]["guardrails"]["agreement"]["samples"] == 4000
    (text,) = (element.text for element in elements(page(document)) if element.tag == "main")
    assert "Asked: 95% confidence, agreement at least 97%, errors at most 1%, latency at most 1.5" in text
    rail = verdict.rails["truth"]
    assert f"truth pass, {points(rail.value)} (" in text


def test_only_the_newest_decisions_are_shown():
    """The store keeps more than anybody reads every second."""
    first = Decision(at=0.0, challenge="", graph="fraud", generation="1", challenger="gbm", event="verdict")
    many = [msgspec.structs.replace(first, at=float(number)) for number in range(DECISIONS + 20)]
    document = report(subject(), msgspec.structs.replace(standing(), decisions=many), AT)
    assert [decision["at"] for decision in document["decisions"]] == [float(at) for at in range(20, DECISIONS + 20)]


def test_inline_nodes_are_named_by_their_place():
    """A challenger may be a node without a name of its own."""
    inline = Challenger(name="rules", to=Node(respond=Respond(status=200)))
    document = report(subject(inline), standing(), AT)
    assert (document["champion"], document["challengers"][0]["to"]) == ("fraud-v1", "root.rules")
