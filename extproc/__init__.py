"""Inference graphs inside Envoy: model chaining, champion/challenger evaluation and traffic splitting."""

__version__ = "0.1.0"
