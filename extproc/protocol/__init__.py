"""The model protocols: find what a response predicts, combine predictions, turn responses into requests."""

from extproc.protocol.chain import next_input
from extproc.protocol.combine import Member, mean, vote
from extproc.protocol.detect import Declared, next_protocol, protocol_of
from extproc.protocol.dialect import Protocol, predictions
from extproc.protocol.errors import NotPredictions
from extproc.protocol.exact import collect, dig
from extproc.protocol.leaves import leaves
from extproc.protocol.predictions import Column, Kind, Predictions, kind_of
from extproc.protocol.v2 import refuse_binary

__all__ = [
    "Column",
    "Declared",
    "Kind",
    "Member",
    "NotPredictions",
    "Predictions",
    "Protocol",
    "collect",
    "dig",
    "kind_of",
    "leaves",
    "mean",
    "next_input",
    "next_protocol",
    "predictions",
    "protocol_of",
    "refuse_binary",
    "vote",
]
