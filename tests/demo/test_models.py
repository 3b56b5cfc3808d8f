"""The demo's models are real: they answer well on rows they were not trained on, and the same every time."""

import time
import warnings

import numpy as np
import pytest

from extproc.demo.models import held_out, train_models

# Twice the measured error, roughly: a model that is merely different passes, one that is broken does not.
ACCURACY = {
    "cancer-logistic": 0.94,
    "cancer-boosting": 0.93,
    "cancer-forest": 0.93,
    "digits-small": 0.88,
    "digits-large": 0.97,
    "wine-a": 0.9,
    "wine-b": 0.9,
}


@pytest.fixture(scope="module")
def models():
    return train_models()


@pytest.mark.parametrize(("name", "least"), ACCURACY.items())
def test_accuracy_on_held_out_rows(models, name, least):
    """Each classifier is right about most rows it has not seen."""
    rows, labels = held_out(models[name].data_set)
    assert (models[name].answer(rows) == labels).mean() >= least


def test_digits_large_is_better(models):
    """The large model earns its time."""
    rows, labels = held_out("digits")
    right = {name: (models[name].answer(rows) == labels).sum() for name in ("digits-small", "digits-large")}
    assert right["digits-large"] > right["digits-small"]


def test_digits_small_knows_when_it_is_sure(models):
    """Above 0.9 the small model is nearly always right, and it is so for most rows: a cascade can rely on it."""
    rows, labels = held_out("digits")
    probabilities = models["digits-small-proba"].answer(rows)
    sure = probabilities.max(axis=1) > 0.9
    assert sure.mean() > 0.6
    assert (probabilities.argmax(axis=1) == labels)[sure].mean() > 0.98


def test_scaler_and_classifier_make_the_pipeline(models):
    """Scaling first and classifying after it is the same as the one model that does both."""
    rows, _ = held_out("cancer")
    scaled = models["cancer-scaler"].answer(rows)
    apart = models["cancer-logistic-scaled-proba"].answer(scaled)
    assert np.array_equal(apart, models["cancer-logistic-proba"].answer(rows))


def test_twins_agree(models):
    """A model's probabilities are of its own labels, and sum to one."""
    for name, model in models.items():
        if model.output == "predict":
            rows, _ = held_out(model.data_set)
            probabilities = models[f"{name}-proba"].answer(rows)
            assert probabilities.shape == (len(rows), model.width)
            assert np.allclose(probabilities.sum(axis=1), 1)
            assert np.array_equal(probabilities.argmax(axis=1), model.answer(rows))


def test_training_is_seeded(models):
    """Training again gives the same answers."""
    for name, model in train_models().items():
        rows, _ = held_out(model.data_set)
        assert np.array_equal(model.answer(rows), models[name].answer(rows))


def test_training_is_quick():
    """A demo must not keep its user waiting: training takes well under six seconds of CPU, without a warning."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train_models()
    assert time.process_time() - start < 6


def test_wrong_rows(models):
    """Rows of another width are refused."""
    with pytest.raises(ValueError, match="features"):
        models["wine-a"].answer(np.zeros((1, 12)))
