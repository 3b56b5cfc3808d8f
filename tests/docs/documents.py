"""The project's documents as tests see them: fenced blocks, commands with their output, links, headings.

What follows the language on a fence tells the tests what to do with the block:

- ``yaml NAME``: a complete document, also written to NAME for the commands of the same page; ``yaml broken NAME``: one
  that has errors on purpose.
- ``console run``: commands that are run, and whose output must be what the page shows. Any other ``console``: commands
  that must at least be ones that the command line takes.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
}
FENCE = re.compile(r"^```(.*)$")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^()\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
OUTSIDE = re.compile(r"^[a-z]+:")


@dataclass(frozen=True)
class Block:
    """A fenced block: the page and line it begins at, its fence's words, its text."""

    page: str
    line: int
    words: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def language(self) -> str:
        """The first word."""
        return self.words[0] if self.words else ""

    @property
    def broken(self) -> bool:
        """Whether the document has errors on purpose."""
        return "broken" in self.words

    @property
    def name(self) -> str | None:
        """The file that the page calls this block by."""
        return next((word for word in self.words[1:] if word.endswith((".yaml", ".json"))), None)

    @property
    def is_graph(self) -> bool:
        """Whether this is a complete document of the graph language."""
        return self.language == "yaml" and "kind: InferenceGraph" in self.text


@dataclass(frozen=True)
class Command:
    """A command of a console block: where, the words of ``extproc``, what is fed to it, and the output shown."""

    place: str
    words: tuple[str, ...]
    fed: str
    shown: str

    def __str__(self) -> str:
        return f"{self.place} {self.words[0]}"


def blocks(page: str) -> Iterator[Block]:
    """Every fenced block of a page, in order."""
    fence: tuple[int, tuple[str, ...]] | None = None
    lines: list[str] = []
    for number, line in enumerate(PAGES[page].read_text(encoding="utf-8").splitlines(), 1):
        found = FENCE.match(line)
        if found is None:
            lines.append(line)
        elif fence is None:
            fence, lines = (number, tuple(found[1].split())), []
        else:
            yield Block(page, fence[0], fence[1], "".join(f"{one}\n" for one in lines))
            fence = None


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    parts = PAGES[page].read_text(encoding="utf-8").split("\n```")
    return "\n".join(part if index % 2 == 0 else "" for index, part in enumerate(parts))


def commands(block: Block) -> Iterator[Command]:
    """The ``extproc`` commands of a console block, with what is shown after each."""
    typed = re.sub(r"\\\n\s*", "", block.text)
    for part in re.split(r"^\$ ", typed, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        feeding, pipe, command = line.partition(" | ")
        if pipe and not command.startswith("extproc "):
            feeding, command = "", line
        words = shlex.split(command if pipe else line, comments=True)
        if words[:1] == ["extproc"] and len(words) > 1:
            fed = shlex.split(feeding)[1] + "\n" if pipe and command.startswith("extproc ") else ""
            yield Command(str(block), tuple(_own(words[1:])), fed, shown)


def _own(words: list[str]) -> Iterator[str]:
    """The words up to what the shell takes for itself."""
    for word in words:
        if word in {"|", ">", "&", "&&", "2>&1"}:
            return
        yield word


def links(page: str) -> list[str]:
    """The relative links of a page."""
    found = [first or second for first, second in LINK.findall(prose(page))]
    return [link for link in found if not OUTSIDE.match(link)]


def anchors(page: Path) -> set[str]:
    """What headings of a page can be linked to by: as GitHub names them."""
    return {_slug(heading) for heading in HEADING.findall(page.read_text(encoding="utf-8"))}


def _slug(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip()).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
