"""Text of a file -> one positioned tree for each YAML document in it.

PyYAML's C parser gives events; the tree is built here, because only then can depth and size be bounded while aliases
are followed, and because what a plain scalar means is not YAML 1.1's to say (``on:`` is a key, not true).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import yaml

from extproc.graph.problems import quote
from extproc.graph.tree import Broken, Mapping, Mark, Scalar, Sequence, Style, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FILE_BYTES = 4 * 1024 * 1024
"""A graph takes a few KB; a thousand of them in one file still fit. More is no file of graphs."""

MAX_VALUES = 200_000
"""Values of one document with its aliases written out: ten thousand models fit, an alias bomb does not."""

MAX_DEPTH = 100
"""Levels of one document: twenty nodes inline in one another take 85, and the walk stays far from Python's own limit."""

TOO_DEEP = f"the document is nested deeper than {MAX_DEPTH} levels (MAX_DEPTH)"
LIBYAML_TOO_DEEP = "maximum nesting depth"
"""What newer versions of libyaml say at 1,000 levels: looking for a key they get there before a value is begun."""

UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML 1.2 §5.1 does not allow in a stream."""

SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
"""A JSON escape of a character beyond 16 bits, which YAML writes otherwise."""

TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!"}


class Refused(Exception):  # noqa: N818 - a refusal with a position, turned into a Problem by the caller
    """The rest of the file cannot be read."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.message = message


@dataclass
class Reading:
    """The documents of a file as far as they could be read, and what was wrong on the way."""

    text: str = ""
    documents: list[Tree] = field(default_factory=list)
    refusals: list[tuple[int, Refused]] = field(default_factory=list)
    """With the number of the document each belongs to."""


def decode_text(data: bytes) -> str:
    """The file's text; raises ``Refused`` for what is no UTF-8 text."""
    if len(data) > MAX_FILE_BYTES:
        raise Refused(Mark(), f"the file is larger than {MAX_FILE_BYTES // (1024 * 1024)} MiB (MAX_FILE_BYTES)")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = data[: error.start]
        mark = Mark(start.count(b"\n") + 1, len(start.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1)
        raise Refused(mark, f"the file is not UTF-8: byte 0x{data[error.start]:02x}") from None
    if found := UNPRINTABLE.search(text):
        mark = mark_at(text, found.start())
        raise Refused(mark, f"control character U+{ord(found[0]):04X}; write it as an escape in double quotes")
    return SURROGATES.sub(_pair, text)


def _pair(found: re.Match[str]) -> str:
    high, low = int(found[2], 16), int(found[3], 16)
    if high >= 0xDC00:  # noqa: PLR2004 - the first low surrogate
        return found[0]
    return f"{found[1]}\\U{0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00):08x}"


def mark_at(text: str, index: int) -> Mark:
    """The position of a character."""
    before = text[:index]
    return Mark(before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1, index)


def read(data: bytes) -> Reading:
    """Reads a file; never raises."""
    reading = Reading()
    try:
        reading.text = decode_text(data)
        for document in _Composer(reading).documents():
            if not _empty(document):
                reading.documents.append(document)
    except Refused as refused:
        reading.refusals.append((len(reading.documents), refused))
    return reading


def _empty(document: Tree) -> bool:
    return isinstance(document, Scalar) and document.plain and not document.text


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1, mark.index)


class _Composer:
    """Builds trees from the parser's events."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.events = self._parse(reading.text)
        self.anchors: dict[str, Tree | None] = {}
        self.size = 0

    @staticmethod
    def _parse(text: str) -> Iterator[Any]:
        try:
            yield from yaml.parse(text, Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as error:
            where = error.problem_mark or error.context_mark
            mark = _mark(where) if where else Mark()
            if LIBYAML_TOO_DEEP in str(error):
                raise Refused(mark, TOO_DEEP) from None
            raise Refused(mark, f"no valid YAML: {_reason(error, text[mark.index : mark.index + 1])}") from None
        except yaml.YAMLError as error:
            raise Refused(Mark(), f"no valid YAML: {str(error).splitlines()[0]}") from None

    def documents(self) -> Iterator[Tree]:
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors, self.size = {}, 0
                yield self._value(next(self.events), 0)

    def _value(self, event: Any, depth: int) -> Tree:
        mark = _mark(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._grown(self._alias(str(event.anchor), mark), depth, mark)
        if event.anchor:
            self.anchors[event.anchor] = None
        tree = self._tagged(event, self._untagged(event, depth, mark), mark)
        if event.anchor:
            self.anchors[event.anchor] = tree
        return tree

    def _untagged(self, event: Any, depth: int, mark: Mark) -> Tree:
        if isinstance(event, yaml.ScalarEvent):
            style = "plain" if event.implicit[0] else event.style or "tagged"
            return self._grown(Scalar(event.value, cast("Style", style), mark), depth, mark)
        self._grown(Broken(mark), depth + 1, mark)
        if isinstance(event, yaml.SequenceStartEvent):
            items = tuple(self._until(yaml.SequenceEndEvent, depth + 1))
            return Sequence(items, mark, *_extent(items))
        values = self._until(yaml.MappingEndEvent, depth + 1)
        return self._merged(tuple((key, next(values)) for key in values), depth, mark)

    def _until(self, end: type[Any], depth: int) -> Iterator[Tree]:
        for event in self.events:
            if isinstance(event, end):
                return
            yield self._value(event, depth)

    def _tagged(self, event: Any, tree: Tree, mark: Mark) -> Tree:
        if event.tag is None or event.tag in TAGS:
            return tree
        return self._broken(mark, f"the YAML tag {quote(event.tag)} is not supported")

    def _alias(self, anchor: str, mark: Mark) -> Tree:
        if anchor not in self.anchors:
            return self._broken(mark, f"there is no anchor &{anchor} before this alias")
        tree = self.anchors[anchor]
        return tree or self._broken(mark, f"the alias *{anchor} stands inside of what it names")

    def _merged(self, entries: tuple[tuple[Tree, Tree], ...], depth: int, mark: Mark) -> Mapping:
        """A mapping with the merge keys (``<<: *defaults``) in it resolved: its own keys win, then the first merged."""
        own = [entry for entry in entries if not _is_merge(entry[0])]
        seen = {key.text for key, _ in own if isinstance(key, Scalar)}
        for _, value in (entry for entry in entries if _is_merge(entry[0])):
            for key, merged in self._sources(value):
                if not isinstance(key, Scalar) or key.text not in seen:
                    own.append((key, self._grown(merged, depth + 1, mark)))
                    seen.add(key.text if isinstance(key, Scalar) else "")
        return Mapping(tuple(own), mark, *_extent([part for entry in own for part in entry]))

    def _sources(self, value: Tree) -> Iterator[tuple[Tree, Tree]]:
        for source in value.items if isinstance(value, Sequence) else (value,):
            if isinstance(source, Mapping):
                yield from source.entries
            elif not isinstance(source, Broken):
                self._broken(source.mark, "<< merges mappings: give it an alias to one, or a list of aliases")

    def _grown(self, tree: Tree, depth: int, mark: Mark) -> Tree:
        self.size += tree.size
        if self.size > MAX_VALUES:
            raise Refused(mark, f"the document holds more than {MAX_VALUES} values, aliases written out (MAX_VALUES)")
        if depth + tree.depth > MAX_DEPTH:
            raise Refused(mark, TOO_DEEP)
        return tree

    def _broken(self, mark: Mark, message: str) -> Broken:
        self.reading.refusals.append((len(self.reading.documents), Refused(mark, message)))
        return Broken(mark)


def _is_merge(key: Tree) -> bool:
    return isinstance(key, Scalar) and key.plain and key.text == "<<"


def _extent(parts: tuple[Tree, ...] | list[Tree]) -> tuple[int, int]:
    return 1 + sum(part.size for part in parts), 1 + max((part.depth for part in parts), default=0)


def _reason(error: yaml.MarkedYAMLError, char: str) -> str:
    reason = error.problem or error.context or "it cannot be read"
    if char == "\t" and "cannot start any token" in reason:
        return "a tab cannot indent, use spaces"
    return f"{reason} ({error.context})" if error.context and error.context != reason else reason
