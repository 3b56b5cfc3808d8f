"""Work that begins when it is awaited: dropped before that, it leaves nothing behind, not even a warning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deferred(Generic[T]):
    """An awaitable made of a function that makes the coroutine."""

    begin: Callable[[], Coroutine[Any, Any, T]]

    def __await__(self) -> Generator[Any, None, T]:
        """Begin, and go on to the end."""
        return self.begin().__await__()
