"""Positioned tree -> document: walks the types of ``document.py`` and reports everything that does not fit them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast, get_args, get_origin

from extproc.graph.document import InferenceGraph, Node
from extproc.graph.language import PLAIN, READERS, choices, expected, is_object, keys, stand_in, text_kind
from extproc.graph.problems import Path, did_you_mean, nearest, quote
from extproc.graph.tree import Broken, Mapping, Scalar, Sequence, Tree
from extproc.graph.values import Wrong, found, meaning

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from extproc.graph.report import Report


def decode(report: Report) -> InferenceGraph:
    """The document; where the report got errors it holds stand-ins of the right types."""
    document: InferenceGraph = _Decoder(report).value(report.root, InferenceGraph, ())
    return document


class _Decoder:
    def __init__(self, report: Report) -> None:
        self.report = report

    def value(self, tree: Tree, hint: Any, path: Path) -> Any:
        """The value of ``tree`` as ``hint`` expects it, or a stand-in."""
        if isinstance(tree, Broken):
            return self.replaced(hint, path)
        if text_kind(hint) == "template":
            return self.template(tree, path)
        if isinstance(tree, Mapping):
            return self.mapping(tree, hint, path)
        if isinstance(tree, Sequence):
            return self.sequence(tree, hint, path)
        return self.scalar(tree, hint, path)

    def mapping(self, tree: Mapping, hint: Any, path: Path) -> Any:
        for one in choices(hint):
            if is_object(one):
                return self.object(tree, one, path)
            if get_origin(one) is dict:
                return self.table(tree, one, path)
        return self.unfit(tree, hint, path)

    def object(self, tree: Mapping, cls: type[msgspec.Struct], path: Path) -> Any:
        known = keys(cls)
        values: dict[str, Any] = {}
        guessed: set[str | None] = set()
        for key, item in self.entries(tree, path):
            if field := known.get(key.text):
                values[field.name] = self.value(item, field.type, (*path, key.text))
            else:
                guessed.add(nearest(key.text, known))
                self.unknown(key, cls, path)
        for name, field in known.items():
            if name in guessed:
                self.report.fail((*path, name))
            if field.required and field.name not in values:
                values[field.name] = self.missing(name, field.type, path, tree if name not in guessed else None)
        return cls(**values)

    def unknown(self, key: Scalar, cls: type[msgspec.Struct], path: Path) -> None:
        what = "unknown kind of node" if cls is Node else "unknown key"
        self.report.error((*path, key.text), f"{what} {quote(key.text)}{self.hint(key.text, cls)}", key)

    @staticmethod
    def hint(word: str, cls: type[msgspec.Struct]) -> str:
        if guess := did_you_mean(word, keys(cls)):
            return guess
        return f"; known are {', '.join(keys(cls))}"

    def missing(self, name: str, hint: Any, path: Path, at: Mapping | None) -> Any:
        if at:
            self.report.error(path, f"the key {quote(name)} is missing", at)
        return self.replaced(hint, (*path, name))

    def replaced(self, hint: Any, path: Path) -> Any:
        self.report.replace(path)
        return stand_in(hint)

    def table(self, tree: Mapping, hint: Any, path: Path) -> dict[Any, Any]:
        key_hint, value_hint = get_args(hint)
        values: dict[Any, Any] = {}
        for key, item in self.entries(tree, path):
            name = self.scalar(key, key_hint, (*path, key.text), key) or key.text
            if name in values:
                self.report.error((*path, key.text), f"the key {quote(name)} stands here twice", key)
            values[name] = self.value(item, value_hint, (*path, name))
        return values

    def entries(self, tree: Mapping, path: Path) -> Iterator[tuple[Scalar, Tree]]:
        """The entries with a usable key, each key once."""
        seen: set[str] = set()
        for key, item in tree.entries:
            if not isinstance(key, Scalar):
                if not isinstance(key, Broken):
                    self.report.error(path, f"a key must be a text, found {found(key)}", key)
            elif key.text in seen:
                self.report.error((*path, key.text), f"the key {quote(key.text)} stands here twice", key)
            else:
                seen.add(key.text)
                yield key, item

    def sequence(self, tree: Sequence, hint: Any, path: Path) -> Any:
        for one in choices(hint):
            if get_origin(one) is tuple:
                item = get_args(one)[0]
                return tuple(self.value(each, item, (*path, index)) for index, each in enumerate(tree.items))
        return self.unfit(tree, hint, path)

    def scalar(self, tree: Scalar, hint: Any, path: Path, at: Scalar | None = None) -> Any:
        for one in choices(hint):
            if get_origin(one) is Literal:
                return self.literal(tree, one, hint, path)
            if reader := READERS.get(text_kind(one) or "") or PLAIN.get(one):
                return self.read(reader, tree, hint, path, at)
        return self.unfit(tree, hint, path)

    def read(self, reader: Any, tree: Scalar, hint: Any, path: Path, at: Scalar | None) -> Any:
        try:
            return reader(tree)
        except Wrong as wrong:
            self.report.error(path, str(wrong), at or tree)
            return stand_in(hint) if at else self.replaced(hint, path)

    def literal(self, tree: Scalar, literal: Any, hint: Any, path: Path) -> Any:
        words = cast("tuple[str, ...]", get_args(literal))
        if tree.text in words:
            return words[words.index(tree.text)]
        guess = did_you_mean(tree.text, words)
        self.report.error(path, f"expected {expected(hint)}, found {found(tree)}{guess}", tree)
        return self.replaced(hint, path)

    def unfit(self, tree: Tree, hint: Any, path: Path) -> Any:
        self.report.error(path, f"expected {expected(hint)}, found {found(tree)}", tree)
        return self.replaced(hint, path)

    def template(self, tree: Tree, path: Path) -> Any:
        """Builtins, by YAML 1.2's core schema."""
        if isinstance(tree, Mapping):
            return {key.text: self.template(item, (*path, key.text)) for key, item in self.entries(tree, path)}
        if isinstance(tree, Sequence):
            return [self.template(item, (*path, index)) for index, item in enumerate(tree.items)]
        try:
            return meaning(tree) if isinstance(tree, Scalar) else self.report.fail(path)
        except Wrong as wrong:
            self.report.error(path, str(wrong), tree)
            return None
