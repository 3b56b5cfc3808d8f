"""Where models are and how they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.addresses import Url, split_url
from extproc.graph.checks.wording import not_empty, one_of
from extproc.graph.document import HeaderSource, Retries

if TYPE_CHECKING:
    from extproc.graph.document import HeaderChanges, Model, Spec
    from extproc.graph.problems import Path
    from extproc.graph.report import Report

MAX_ATTEMPTS = 100
"""More are a slip of the pen: with the least backoff of 25 ms they outlast any deadline."""

ADDRESSES = ("url", "urls", "cluster")


def check(spec: Spec, report: Report) -> None:
    """All models, each for itself."""
    for name, model in spec.models.items():
        path = ("spec", "models", name)
        where = one_of(report, path, "a model", ADDRESSES)
        if where == "cluster":
            _cluster(model, path, report)
        elif where:
            _urls(model, path, where, report)
        _calls(model, path, report)
        _headers(model.headers, (*path, "headers"), report)


def _cluster(model: Model, path: Path, report: Report) -> None:
    if model.tls:
        report.error((*path, "tls"), "Envoy's own cluster says how to speak TLS: tls goes with url or urls")
    for key in report.given(path, ("http2", "health")):
        report.warn((*path, key), f"without effect: Envoy's own cluster decides, {key} goes with url or urls")


def _urls(model: Model, path: Path, where: str, report: Report) -> None:
    for key in report.given(path, ("path", "host")):
        report.error((*path, key), f"{key} goes with cluster; the url says it already")
    if where == "urls":
        _agreeing(model, path, report)
    given = (model.url,) if model.url is not None else model.urls
    if model.tls and report.sound((*path, where)) and any(split_url(url).scheme != "https" for url in given):
        report.error((*path, "tls"), "tls goes with https")


def _agreeing(model: Model, path: Path, report: Report) -> None:
    not_empty(report, (*path, "urls"), model.urls)
    first: Url | None = None
    for index, text in enumerate(model.urls):
        where = (*path, "urls", index)
        if not report.sound(where):
            continue
        url = split_url(text)
        first = first or url
        if url.scheme != first.scheme or url.path != first.path:
            what = "scheme" if url.scheme != first.scheme else "path"
            report.error(where, f"all urls of a model have the same {what}; another one's is {_of(first, what)}")
        elif text in model.urls[:index]:
            report.error(where, "this url stands here twice")


def _of(url: Url, what: str) -> str:
    return url.scheme if what == "scheme" else url.path or "missing"


def _calls(model: Model, path: Path, report: Report) -> None:
    retries = model.retries
    attempts = retries.attempts if isinstance(retries, Retries) else retries or 1
    if attempts > MAX_ATTEMPTS:
        where = (*path, "retries", "attempts") if isinstance(retries, Retries) else (*path, "retries")
        report.error(where, f"at most {MAX_ATTEMPTS} attempts (MAX_ATTEMPTS), found {attempts}")
    if isinstance(retries, Retries) and retries.on is not None:
        not_empty(report, (*path, "retries", "on"), retries.on)
    if model.hedge and model.timeout and model.hedge.after >= model.timeout and report.sound((*path, "hedge")):
        report.warn((*path, "hedge", "after"), "never happens: the model's timeout ends the call before")
    if model.tls and len(one := report.given((*path, "tls"), ("cert", "key"))) == 1:
        report.error((*path, "tls"), f"cert and key go together, found {one[0]} alone")


def _headers(headers: HeaderChanges, path: Path, report: Report) -> None:
    for name, value in headers.set.items():
        if isinstance(value, HeaderSource):
            one_of(report, (*path, "set", name), "a header's value", ("env", "file"))
    for index, name in enumerate(headers.remove):
        if name in headers.set and report.sound((*path, "remove", index)):
            report.error((*path, "remove", index), f'the header "{name}" is set and removed')
