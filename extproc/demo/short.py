"""JSON documents short enough to be read."""

from __future__ import annotations

import json
from typing import Any, Final

SHOWN: Final = 3  # items of a long list that are shown
LONG: Final = 5  # items that are all shown


def shortened(document: Any) -> str:
    """The document as JSON, its long lists as their first items and their length: ``[1, 2, 3, … 30 in all]``."""
    match document:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)}: {shortened(value)}" for key, value in document.items()) + "}"
        case list() if len(document) > LONG:
            shown = 1 if isinstance(document[0], list | dict) else SHOWN
            return "[" + ", ".join(map(shortened, document[:shown])) + f", … {len(document)} in all]"
        case list():
            return "[" + ", ".join(map(shortened, document)) + "]"
        case _:
            return json.dumps(document, ensure_ascii=False)
