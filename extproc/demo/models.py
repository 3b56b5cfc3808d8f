"""Small real models, trained when the demo starts: seeded, on the data sets that scikit-learn brings along.

Seven in ten rows are for training, the others are held out, so that the demo can send requests whose true answer is
known. Training all of them takes about a second, less than a cache would be worth.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Rows: TypeAlias = npt.NDArray[np.float64]  # shape (rows, features)
Labels: TypeAlias = npt.NDArray[np.int64]  # shape (rows,)
Values: TypeAlias = npt.NDArray[Any]
DataSet: TypeAlias = Literal["cancer", "digits", "wine"]
Output: TypeAlias = Literal["predict", "predict_proba", "transform"]  # what MLServer's scikit-learn runtime calls them

SEED: Final = 7
HELD_OUT: Final = 0.3  # of the rows: 171 of cancer, 540 of digits, 54 of wine
PROBABILITIES: Final = "-proba"  # the suffix of a classifier's twin that answers probabilities

LOADERS: Final[dict[DataSet, Callable[..., Any]]] = {
    "cancer": load_breast_cancer,
    "digits": load_digits,
    "wine": load_wine,
}


@dataclasses.dataclass(frozen=True)
class DemoModel:
    """A trained model: what it takes and what it answers unless asked for another of its outputs.

    ``predict`` answers labels of shape (rows,), ``predict_proba`` (rows, classes), ``transform`` (rows, features).
    """

    name: str
    data_set: DataSet
    estimator: Any = dataclasses.field(repr=False)
    features: int
    output: Output

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What it can answer."""
        return ("transform",) if self.output == "transform" else ("predict", "predict_proba")

    @property
    def width(self) -> int:
        """Values per row of ``predict_proba`` or ``transform``."""
        return self.features if self.output == "transform" else len(self.estimator.classes_)

    def answer(self, rows: Rows, output: Output | None = None) -> Values:
        """Runs the estimator.

        Raises:
            ValueError: The rows have another number of features, or values the estimator cannot take.
        """
        with np.errstate(over="ignore"):  # huge values become infinite, and the estimator refuses these
            values: Values = getattr(self.estimator, output or self.output)(rows)
        return values


def held_out(data_set: DataSet) -> tuple[Rows, Labels]:
    """The rows no model was trained on, and their true labels."""
    _, rows, _, labels = _split(data_set)
    return rows, labels


def train_models() -> dict[str, DemoModel]:
    """Trains every model; each classifier comes twice, as ``NAME`` (labels) and ``NAME-proba`` (probabilities).

    The second name is how KServe's scikit-learn server does it, too: one deployment answers labels, another one, with
    PREDICT_PROBA set, probabilities.
    """
    return {model.name: model for train in (_cancer, _digits, _wine) for model in train()}


def _cancer() -> Iterator[DemoModel]:
    """30 measures of a tumour to 0 (malignant) or 1 (benign)."""
    rows, _, labels, _ = _split("cancer")
    scaler = StandardScaler().fit(rows)
    logistic = LogisticRegression().fit(scaler.transform(rows), labels)
    yield DemoModel("cancer-scaler", "cancer", scaler, rows.shape[1], "transform")
    yield from _classifier("cancer-logistic-scaled", "cancer", logistic)
    yield from _classifier("cancer-logistic", "cancer", make_pipeline(scaler, logistic))
    boosting = GradientBoostingClassifier(n_estimators=60, random_state=SEED)
    yield from _classifier("cancer-boosting", "cancer", boosting.fit(rows, labels))
    forest = RandomForestClassifier(25, random_state=SEED)
    yield from _classifier("cancer-forest", "cancer", forest.fit(rows, labels))


def _digits() -> Iterator[DemoModel]:
    """8 by 8 pixels to 0..9: a quick model that knows when it is unsure, and a better one that takes ten times as long."""
    rows, _, labels, _ = _split("digits")
    small = make_pipeline(StandardScaler(), PCA(16, random_state=SEED), LogisticRegression(max_iter=500))
    yield from _classifier("digits-small", "digits", small.fit(rows, labels))
    large = ExtraTreesClassifier(60, random_state=SEED)
    yield from _classifier("digits-large", "digits", large.fit(rows, labels))


def _wine() -> Iterator[DemoModel]:
    """13 measures of a wine to its grower, 0..2."""
    rows, _, labels, _ = _split("wine")
    yield from _classifier("wine-a", "wine", make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels))
    yield from _classifier("wine-b", "wine", GaussianNB().fit(rows, labels))


def _classifier(name: str, data_set: DataSet, estimator: Any) -> Iterator[DemoModel]:
    """A classifier under its two names."""
    features = int(estimator.n_features_in_)
    yield DemoModel(name, data_set, estimator, features, "predict")
    yield DemoModel(name + PROBABILITIES, data_set, estimator, features, "predict_proba")


@functools.cache
def _split(data_set: DataSet) -> tuple[Rows, Rows, Labels, Labels]:
    """Rows to train on, rows held out, and the labels of both; each class has its share in either."""
    rows, labels = LOADERS[data_set](return_X_y=True)
    train, held, train_labels, held_labels = train_test_split(
        rows, labels, test_size=HELD_OUT, random_state=SEED, stratify=labels
    )
    return train, held, train_labels.astype(np.int64), held_labels.astype(np.int64)
