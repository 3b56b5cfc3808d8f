"""Texts from outside, as they can be keys in every database."""

from __future__ import annotations

from hashlib import blake2b

KEY_BYTES = 200  # four of them fit into an entry of PostgreSQL's B-tree, which holds 2,704 bytes
_DIGEST = 16


def key_of(text: str) -> str:
    """Return a text as it is kept: UTF-8 without NUL, at most ``KEY_BYTES`` long, the same for the same text.

    A text that is all that stays as it is. Others end in their hash, which keeps them apart.
    """
    data = text.encode("utf-8", "surrogatepass")
    readable = text.encode("utf-8", "replace").replace(b"\0", b"?")
    if data == readable and len(data) <= KEY_BYTES:
        return text
    mark = "~" + blake2b(data, digest_size=_DIGEST).hexdigest()
    return readable[: KEY_BYTES - len(mark)].decode("utf-8", "ignore") + mark
