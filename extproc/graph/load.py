"""Files and folders -> graphs and problems. Nothing raises: what cannot be read is a problem with a place."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.graph.checks import check
from extproc.graph.checks.across import check_across
from extproc.graph.decode import decode
from extproc.graph.graph import Graph
from extproc.graph.problems import Problem
from extproc.graph.read import MAX_FILE_BYTES, read
from extproc.graph.report import Report, in_order
from extproc.graph.tree import Mapping, Scalar, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from extproc.graph.document import InferenceGraph

SUFFIXES = {".yaml", ".yml", ".json"}
API = ("extproc.dev/v1", "InferenceGraph")


@dataclass(frozen=True)
class Loading:
    """What ``load`` found: the graphs without errors, and every problem in order of its place."""

    graphs: tuple[Graph, ...]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What must be mended."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is allowed but hardly meant."""
        return tuple(problem for problem in self.problems if problem.severity == "warning")

    def __repr__(self) -> str:
        """Like ``<Loading 2 graphs, 1 errors, 0 warnings>``."""
        return f"<Loading {len(self.graphs)} graphs, {len(self.errors)} errors, {len(self.warnings)} warnings>"


def load(paths: Iterable[Path | str]) -> Loading:
    """Reads files, and folders recursively (``*.yaml``, ``*.yml``, ``*.json``; hidden ones are passed over)."""
    room = _Room()
    for path in paths:
        room.take(Path(path))
    check_across(room.documents)
    problems = [*room.problems, *(problem for report, _ in room.documents for problem in report.problems)]
    graphs = tuple(Graph.of(document, report.file) for report, document in room.documents if not report.has_errors)
    return Loading(graphs, in_order(problems, room.files))


@dataclass
class _Room:
    """What was read so far."""

    documents: list[tuple[Report, InferenceGraph]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    count: int = 0

    def take(self, path: Path) -> None:
        """Reads one path that the user named."""
        before = self.count
        self.files.append(str(path))
        try:
            found = sorted(_files(path)) if path.is_dir() else [path]
            for file in found:
                self._file(file)
        except (OSError, ValueError) as error:
            self._error(path, _why(error))
            return
        if not found:
            self._error(path, f"no graph here: the folder holds no {', '.join(sorted(SUFFIXES))} file")
        elif self.count == before:
            self._error(
                path, "no graph here: " + ("the files hold" if path.is_dir() else "the file holds") + " nothing"
            )

    def _file(self, path: Path) -> None:
        real = os.path.realpath(path)
        self.files.append(str(path))
        if real in self.seen:
            self.count += 1
            return
        self.seen.add(real)
        try:
            data = _bytes(path)
        except (OSError, ValueError) as error:
            self.count += 1
            self._error(path, _why(error))
            return
        self._documents(str(path), data)

    def _documents(self, file: str, data: bytes) -> None:
        reading = read(data)
        reports = [Report(file, reading.text, tree) for tree in reading.documents]
        for index, refused in reading.refusals:
            self.count += 1
            if index < len(reports):
                reports[index].error((), refused.message, refused.mark)
            else:
                self._error(Path(file), refused.message, refused.mark.line, refused.mark.column)
        for report in reports:
            self.count += 1
            if document := _document(report):
                self.documents.append((report, document))
            else:
                self.problems.extend(report.problems)

    def _error(self, path: Path, message: str, line: int = 1, column: int = 1) -> None:
        self.problems.append(Problem(file=str(path), line=line, column=column, message=message))


def _document(report: Report) -> InferenceGraph | None:
    """The document, decoded and checked; None for what is no graph at all."""
    if foreign := _foreign(report.root):
        report.error((), foreign)
        return None
    document = decode(report)
    check(document, report)
    return document


def _foreign(root: Tree) -> str | None:
    if not isinstance(root, Mapping):
        return None
    said = {
        key.text: value.text for key, value in root.entries if isinstance(key, Scalar) and isinstance(value, Scalar)
    }
    if "kind" in said and "apiVersion" in said and not {said["apiVersion"], said["kind"]} & set(API):
        return f"expected apiVersion {API[0]} and kind {API[1]}, found {said['apiVersion']} and {said['kind']}"
    return None


def _files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.suffix.lower() in SUFFIXES and not hidden and not file.is_dir():
            yield file


def _bytes(path: Path) -> bytes:
    if not path.exists():
        raise FileNotFoundError(2, "there is no such file or folder")
    if not path.is_file():
        raise OSError(0, "not a file or folder")
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return f"the path cannot be used: {error}"
