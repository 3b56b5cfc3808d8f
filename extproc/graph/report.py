"""Collects the problems of one document, each at its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extproc.graph.problems import Path, Problem, Severity, show_path
from extproc.graph.tree import Mapping, Mark, Tree, locate

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass
class Report:
    """Problems of one document.

    So that no error is followed by silly others, ``failed`` holds the paths of all values that are wrong in some part,
    and ``replaced`` those of which nothing is left but a stand-in.
    """

    file: str
    text: str
    root: Tree
    problems: list[Problem] = field(default_factory=list)
    failed: set[Path] = field(default_factory=set)
    replaced: set[Path] = field(default_factory=set)

    def error(self, path: Path, message: str, at: Tree | Mark | None = None) -> None:
        """Notes an error at ``path``, shown where the value at that path stands unless ``at`` says where."""
        self.fail(path)
        self._note("error", path, message, at)

    def warn(self, path: Path, message: str, at: Tree | Mark | None = None) -> None:
        """Notes what is allowed but hardly meant."""
        self._note("warning", path, message, at)

    def fail(self, path: Path) -> None:
        """Marks a value, and all that it is a part of, as not worth further checks."""
        self.failed.update(path[:end] for end in range(len(path) + 1))

    def sound(self, path: Path) -> bool:
        """Whether nothing was wrong so far with the value at ``path`` or anything in it."""
        return path not in self.failed and not any(path[:end] in self.replaced for end in range(len(path)))

    def replace(self, path: Path) -> None:
        """Marks a value as a stand-in: neither it nor anything in it is the author's."""
        self.fail(path)
        self.replaced.add(path)

    def given(self, path: Path, names: Iterable[str]) -> tuple[str, ...]:
        """Which of these keys stand in the mapping at ``path``, well-formed or not, misspelt ones included."""
        tree = locate(self.root, path)
        written = tree.index if isinstance(tree, Mapping) else {}
        return tuple(name for name in names if name in written or (*path, name) in self.failed)

    def key(self, path: Path) -> Mark:
        """Where the key that ends ``path`` stands."""
        above = locate(self.root, path[:-1])
        entry = above.index.get(str(path[-1])) if isinstance(above, Mapping) else None
        return entry[0].mark if entry else above.mark

    @property
    def has_errors(self) -> bool:
        """Whether the document cannot be used."""
        return any(problem.severity == "error" for problem in self.problems)

    def _note(self, severity: Severity, path: Path, message: str, at: Tree | Mark | None) -> None:
        mark = at if isinstance(at, Mark) else (at or locate(self.root, path)).mark
        self.problems.append(
            Problem(
                severity=severity,
                file=self.file,
                line=mark.line,
                column=mark.column,
                path=show_path(path),
                message=message,
            )
        )


def in_order(problems: Iterable[Problem], files: Iterable[str]) -> tuple[Problem, ...]:
    """By position in each file, files in the order given, without repetitions (aliases are walked twice)."""
    rank = {name: place for place, name in enumerate(dict.fromkeys(files))}
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda one: (rank.get(one.file, len(rank)), one.line, one.column, one.path)))
