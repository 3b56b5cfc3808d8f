"""What is being done, for people: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


class Progress:
    """Tells of starting and stopping on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Shows ``what`` while the block runs."""
        if not self._console.is_terminal:
            self._console.print(f"  {what} ...", markup=False)
            yield
            return
        with self._console.status(f"{what} ..."):
            yield

    def done(self, what: str) -> None:
        """Something is there now."""
        self._console.print(f"  [green]{what}[/]")

    def note(self, what: str) -> None:
        """Something is otherwise than one may think, but well."""
        self._console.print(f"  [yellow]{what}[/]")

    def failed(self, what: str) -> None:
        """Something is wrong."""
        self._console.print(f"  [bold red]{what}[/]")
