"""HTML and SVG put together so that text is escaped unless it is known to be markup."""

from __future__ import annotations

from html import escape
from typing import TypeAlias

from extproc.challenge.wording import visible

Content: TypeAlias = "str | Markup | None"
Attribute: TypeAlias = str | float | None

VOID = frozenset(["meta", "link", "br"])
"""HTML's elements without an end tag."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def markup(content: Content) -> Markup:
    """Return content as markup: text is escaped, None is nothing."""
    if isinstance(content, Markup):
        return content
    return Markup(escape(visible(content)) if content else "")


def joined(*contents: Content) -> Markup:
    """Return contents one after the other."""
    return Markup("".join(markup(content) for content in contents))


def tag(name: str, /, *contents: Content, **attributes: Attribute) -> Markup:
    """Return an element.

    An attribute's underscores are hyphens, but for one at the end (``class_``); None leaves it out. Numbers are
    written with two decimals at most: a hundredth of a pixel.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(*contents)}</{name}>")


def _attribute(key: str, value: str | float) -> str:
    text = value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
    return f' {key.rstrip("_").replace("_", "-")}="{escape(visible(text))}"'
