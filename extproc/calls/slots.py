"""How many calls of each model are in flight."""

from __future__ import annotations


class Slots:
    """Calls in flight by model. The limit comes with each call, so that a reload changes it at once."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def __repr__(self) -> str:
        """Say what is taken."""
        return f"<Slots {' '.join(f'{key}={count}' for key, count in self._taken.items()) or 'free'}>"

    def taken(self, key: str) -> int:
        """Return how many are in flight."""
        return self._taken.get(key, 0)

    def take(self, key: str, limit: int) -> bool:
        """Take a slot, unless as many as the limit are taken."""
        taken = self._taken.get(key, 0)
        if taken >= limit:
            return False
        self._taken[key] = taken + 1
        return True

    def free(self, key: str) -> None:
        """Give one back."""
        left = self._taken[key] - 1
        if left:
            self._taken[key] = left
        else:
            del self._taken[key]
