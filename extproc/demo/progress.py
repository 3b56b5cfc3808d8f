"""What is being done, for people: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.text import Text

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
        if not self._console.is_terminal or self._console.is_dumb_terminal:
            self._console.print(f"  {what} ...", markup=False)
            yield
            return
        with self._console.status(f"{what} ...", spinner_style="cyan"):
            yield

    def done(self, what: str) -> None:
        """Something is there now."""
        self._console.print(Text(f"  {what}", style="green"), soft_wrap=True)

    def gap(self) -> None:
        """An empty line."""
        self._console.print()

    def note(self, what: str) -> None:
        """Something is otherwise than one may think, but well."""
        self._console.print(Text(f"  {what}", style="yellow"), soft_wrap=True)

    def failed(self, what: str) -> None:
        """Something is wrong."""
        self._console.print(Text(f"  {what}", style="bold red"), soft_wrap=True)
