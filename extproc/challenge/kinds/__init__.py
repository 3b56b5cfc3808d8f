"""The kinds of predictions: how each is read, when two agree, and what a pair adds to the evidence."""

from extproc.challenge.kinds.table import KINDS, Compared, Measure

__all__ = ["KINDS", "Compared", "Measure"]
