"""What two legs say, read from their responses and compared element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from extproc.challenge.histogram import count, grain
from extproc.challenge.kinds import KINDS
from extproc.challenge.leg import Unparsable
from extproc.engine.views import ResponseView
from extproc.errors import BadRequest
from extproc.expr import EvaluationError, compile_expression
from extproc.expr.text import plain, plain_part
from extproc.protocol import NotPredictions, kind_of, predictions, protocol_of, refuse_binary
from extproc.protocol.leaves import NUMBERS
from extproc.protocol.predictions import unwrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.evidence import Evidence
    from extproc.challenge.kinds import Compared
    from extproc.challenge.leg import LegAnswer
    from extproc.expr import Program
    from extproc.graph.document import Compare
    from extproc.protocol import Kind

# Bytes of one leg's elements that a record holds: an embedding of 3,072 numbers with room to spare. What is larger is
# compared all the same, and neither kept as an example nor joined with labels.
MAX_RECORDED: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Said:
    """What one leg predicts: ``elements`` are JSON values, ``parts`` what their kind made of them to compare them."""

    kind: Kind
    elements: list[Any]
    parts: Sequence[Any]

    def recorded(self) -> msgspec.Raw | None:
        """Return the elements as a JSON list; None where that is larger than a record holds."""
        text = msgspec.json.encode(self.elements)
        return msgspec.Raw(text) if len(text) <= MAX_RECORDED else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A pair, compared. ``agreement`` is the share of elements that agree: 1 where there are none."""

    champion: Said
    challenger: Said
    compared: Compared

    @property
    def kind(self) -> Kind:
        """How they were compared."""
        return self.champion.kind

    @property
    def elements(self) -> int:
        """How many predictions each leg made."""
        return len(self.champion.elements)

    @property
    def agreement(self) -> float:
        """The share of elements that agree."""
        return self.compared.agreeing / self.elements if self.elements else 1.0

    def add_to(self, evidence: Evidence) -> None:
        """Add all that a pair's predictions say; its outcome and latencies are booked by who knows them."""
        evidence.kinds[self.kind] = evidence.kinds.get(self.kind, 0) + 1
        evidence.elements += self.elements
        count(evidence.agreement, grain(self.agreement))
        self.compared.add_to(evidence)


@dataclass(frozen=True, slots=True)
class Comparer:
    """How a challenge compares; without a value the protocol tells the predictions, without a kind they tell it."""

    value: Program | None = None
    kind: Kind | None = None
    tolerance: float = 0.0

    @classmethod
    def of(cls, document: Compare) -> Comparer:
        """Build it from the graph's ``compare``. Raises CompileError."""
        value = None if document.value is None else compile_expression(document.value, ("request", "response"))
        return cls(value, document.kind, document.tolerance or 0.0)

    def read(self, leg: LegAnswer) -> Said:
        """Return what a leg predicts.

        Raises:
            Unparsable: Nothing that can be compared.
        """
        try:
            kind, elements = self._told(leg) if self.value is None else self._valued(self.value, leg)
            return Said(kind, elements, KINDS[kind].read(elements))
        except NotPredictions as problem:
            raise Unparsable(problem.message) from None
        except (BadRequest, EvaluationError) as problem:
            raise Unparsable(f"compare.value: {problem.message}", expression=True) from None

    def compare(self, champion: Said, challenger: Said) -> Comparison:
        """Compare two legs of one request.

        Raises:
            Unparsable: The challenger's predictions are of another kind, number or structure than the champion's.
        """
        if challenger.kind != champion.kind:
            raise Unparsable("the challenger's predictions are of another kind than the champion's")
        if len(challenger.elements) != len(champion.elements):
            raise Unparsable("the challenger makes another number of predictions than the champion")
        try:
            compared = KINDS[champion.kind].compare(champion.parts, challenger.parts, self.tolerance)
        except NotPredictions as problem:
            raise Unparsable(problem.message) from None
        return Comparison(champion, challenger, compared)

    def _told(self, leg: LegAnswer) -> tuple[Kind, list[Any]]:
        """Return what the protocol says are the predictions."""
        refuse_binary(leg.reply.header_map)
        found = predictions(protocol_of(leg.declared, leg.path, leg.reply.body), leg.reply.body)
        return self.kind or found.kind(), found.elements()

    def _valued(self, program: Program, leg: LegAnswer) -> tuple[Kind, list[Any]]:
        """Return what the graph's expression says are the predictions."""
        value = program({"request": leg.request, "response": ResponseView(leg.reply)})
        elements = _elements(plain_part(value) if program.borrowed else plain(value), self.kind)
        return self.kind or kind_of(elements), elements


def _elements(value: Any, kind: Kind | None) -> list[Any]:
    """Return the items of a list, else the value alone; a list of numbers that is to be a vector is one."""
    batch = type(value) is list and not (kind == "vector" and value and NUMBERS.issuperset(map(type, value)))
    return [unwrap(item) for item in (value if batch else [value])]
