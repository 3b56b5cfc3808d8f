"""What one evaluation carries along: the steps that are left and the variables of its macros."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from extproc.expr.errors import EXHAUSTED, BudgetExceededError
from extproc.expr.limits import BULK, STEP_BUDGET


class Frame:
    """The mutable state of one evaluation; ``loops`` holds one variable for each level of nested macros."""

    __slots__ = ("loops", "steps")

    def __init__(self, loops: int = 0, steps: int = STEP_BUDGET) -> None:
        self.steps = steps
        self.loops: list[object] = [None] * loops

    def charge(self, steps: int) -> None:
        """Take ``steps`` from the budget.

        Raises:
            BudgetExceededError: nothing is left.
        """
        self.steps -= steps
        if self.steps < 0:
            raise BudgetExceededError(EXHAUSTED)

    def charge_bulk(self, size: int) -> None:
        """Take what C code needs for ``size`` characters or elements."""
        self.charge(size // BULK + 1)

    def charge_bits(self, bits: int) -> None:
        """Take what multiplying, dividing or writing an integer of ``bits`` bits needs: it grows with the square."""
        # Writing 14,280 bits, the slowest of these, takes about 150 us, which is 1,555 steps.
        self.charge((bits * bits >> 17) + 1)

    def __repr__(self) -> str:
        return f"<Frame steps={self.steps}>"


Variables: TypeAlias = Mapping[str, object]
Evaluate: TypeAlias = Callable[[Variables, Frame], object]

# For programs without loops and without work that grows with a value: they never charge, so they can share one frame.
# It has no steps, so that a program wrongly taken for such a one fails in its first test.
UNMETERED: Final = Frame(steps=0)
