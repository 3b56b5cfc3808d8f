"""docs/metrics.md lists the metrics that there are, with their types, labels and texts; deploy/ asks for no others."""

import re

from extproc.admin.metrics import CHALLENGE_REQUESTS, CHALLENGE_VERDICT, METRICS
from tests.docs.documents import ROOT

PAGE = ROOT / "docs" / "metrics.md"
KNOWN = [*METRICS.values(), CHALLENGE_REQUESTS, CHALLENGE_VERDICT]


def rows():
    """The table as it has to be."""
    for metric in KNOWN:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
        yield f"| `{metric.exposed}` | {metric.type} | {labels} | {metric.text} |"


def test_the_table_is_the_codes():
    """Run ``python -m tests.docs.test_metrics`` to print what should stand there."""
    table = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `extproc_")]
    assert table == list(rows())


def test_every_name_that_is_mentioned_exists():
    """In documents and in what Prometheus and Grafana are told."""
    names = {metric.exposed for metric in KNOWN}
    names |= {f"{metric.exposed}_{end}" for metric in KNOWN if metric.bounds for end in ("bucket", "sum", "count")}
    places = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    places += [file for file in (ROOT / "deploy").rglob("*") if file.suffix in {".json", ".yml", ".yaml"}]
    for place in places:
        mentioned = set(re.findall(r"\bextproc_[a-z_]+\b", place.read_text(encoding="utf-8")))
        assert mentioned <= names, place


if __name__ == "__main__":
    print("\n".join(rows()))  # noqa: T201
