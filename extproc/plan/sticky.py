"""Sticky, weighted choice: the same key goes to the same route in every process, for ever.

Weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", SPAA 2005): every route
scores ``-w / ln(u)`` with ``u`` uniform in (0, 1) from a hash of seed, route and key; the highest score wins. The
winner's share is exactly ``w / sum(w)``, and when weights change only those keys move that have to.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from math import log
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCALE = 2.0**-52  # with 52 bits and a half every u is an exact double, and neither 0 nor 1
_HALF = 2.0**-53


class Random(Protocol):
    """The seam through which chance comes in."""

    def random(self) -> float:
        """Return a uniform number in [0, 1)."""
        ...


def uniform(prefix: bytes, key: bytes) -> float:
    """Return the uniform number in (0, 1) of a key behind a prefix, the same on every machine.

    The first 52 bits of BLAKE2b-64 over ``prefix + key``, plus one half, scaled to (0, 1).
    """
    digest = blake2b(prefix + key, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 12) * _SCALE + _HALF


def prefix_of(seed: str, name: str) -> bytes:
    """Return what stands before the key in the hash; lengths keep ``ab + c`` and ``a + bc`` apart."""
    seed_bytes = seed.encode()
    name_bytes = name.encode()
    return b"%d:%b%d:%b" % (len(seed_bytes), seed_bytes, len(name_bytes), name_bytes)


@dataclass(frozen=True, slots=True)
class Lots:
    """The routes one key is drawn among: index, weight and hash prefix of those with a weight above zero."""

    entries: tuple[tuple[int, float, bytes], ...]
    total: float

    @classmethod
    def of(cls, seed: str, weighted: Sequence[tuple[str, float]]) -> Lots:
        """Build the lots of named, weighted routes; ``weighted`` holds at least one weight above zero."""
        heaviest = max(weight for _, weight in weighted)
        entries = tuple(
            (index, weight / heaviest, prefix_of(seed, name))
            for index, (name, weight) in enumerate(weighted)
            if weight > 0
        )
        return cls(entries, sum(weight for _, weight, _ in entries))

    def sticky(self, key: str) -> int:
        """Return the index of the route of a key: a pure function of seed, names, weights and key."""
        key_bytes = key.encode("utf-8", "surrogatepass")
        best = -1.0
        winner = -1
        for index, weight, prefix in self.entries:
            score = -weight / log(uniform(prefix, key_bytes))
            if score > best:
                best, winner = score, index
        return winner

    def drawn(self, random: Random) -> int:
        """Return the index of a route by chance, each with its share."""
        point = random.random() * self.total
        for index, weight, _ in self.entries:
            point -= weight
            if point < 0:
                return index
        return self.entries[-1][0]
