"""Packages that hold a model or a list of toxic words: `python -m benchmarks.toxicity --candidates`.

Each is a function that loads one and returns what scores texts. To install them:
pip install hatesonar better-profanity glin-profanity safetype nltk "setuptools<81" tensorflow-cpu tf_keras
keras-preprocessing pandas; and, as they pin versions that are too old for the others, pip install --no-deps
tox-block toxic-comment-classifier toxicityclassifier best-profanity valx.
Many load pickles, which may run anything: measure them where that does no harm.
"""
# ruff: noqa: PLC0415, S301 - each is imported only if it is measured, and pickles are what they ship

from __future__ import annotations

import os
import pickle
import string
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = Callable[[Sequence[str]], ArrayLike]


def folder(package: str) -> Path:
    """Where a package is installed; it is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name=package)
    return Path(spec.origin).parent


def each(flagged: Callable[[str], Any]) -> Scores:
    """1 for a text that a list of words flags, else 0."""
    return lambda texts: np.array([float(bool(flagged(text))) for text in texts])


def hatesonar() -> Scores:
    """TF-IDF and logistic regression as ONNX, of Davidson's tweets; needs the locale en_US.UTF-8."""
    from hatesonar import Sonar

    session = Sonar().sess

    def score(texts: Sequence[str]) -> NDArray[Any]:
        _, classes = session.run(None, {"text": np.array(texts, dtype=object)})
        return np.array([1 - found[2] for found in classes])  # 2 is neither hate nor offensive

    return score


def tox_block() -> Scores:
    """LSTM on GloVe, of Jigsaw's comments of Wikipedia."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # its file is one of Keras 2
    import tf_keras
    from tox_block.prediction import make_predictions

    tf_keras.utils.disable_interactive_logging()
    return lambda texts: np.array(
        [found["toxic"] for found in make_predictions(list(texts), rescale=False).values()]
    )


def toxic_comment_classifier() -> Scores:
    """LSTM of Jigsaw's comments; asked by the batch, as its own `predict_batch` asks text by text."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    from toxic_classifier.model import MAXLEN, ToxicCommentClassifier, pad_sequences

    known = ToxicCommentClassifier()

    def score(texts: Sequence[str]) -> NDArray[Any]:
        tokens = pad_sequences(known.tokenizer.texts_to_sequences(texts), maxlen=MAXLEN)
        found: NDArray[Any] = known.model.predict(tokens, verbose=0)[:, 0]
        return found

    return score


def toxicityclassifier() -> Scores:
    """Logistic regression; scikit-learn's stop words stand in for NLTK's, which would be downloaded."""
    from nltk import SnowballStemmer
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    models = folder("toxicityclassifier") / "models"
    model = pickle.loads((models / "EnglishModel.bf").read_bytes())
    vectorizer = pickle.loads((models / "EnglishVectorizer.bf").read_bytes())
    stem = SnowballStemmer("english").stem
    no_marks = str.maketrans("", "", string.punctuation)

    def clean(text: str) -> str:
        words = text.lower().translate(no_marks).split()
        return " ".join(stem(word) for word in words if word not in ENGLISH_STOP_WORDS)

    return lambda texts: model.predict_proba(vectorizer.transform([clean(text) for text in texts]))[:, 1]


def best_profanity() -> Scores:
    """The linear model of profanity-check with other data; only its English half."""
    import joblib

    data = folder("best_profanity") / "data"
    model, vectorizer = (joblib.load(data / f"english-{part}.joblib") for part in ("model", "vectorizer"))
    return lambda texts: model.predict_proba(vectorizer.transform(texts))[:, 1]


def valx() -> Scores:
    """Decision tree on counts of words, of Davidson's tweets; its shares need an old scikit-learn."""
    from valx import cv, model

    def score(texts: Sequence[str]) -> NDArray[Any]:
        found: NDArray[Any] = model.predict(cv.transform(texts).toarray()) != "No Hate and Offensive Speech"
        return found.astype(float)

    return score


def better_profanity() -> Scores:
    """List of words and their spellings."""
    from better_profanity import profanity

    profanity.load_censor_words()
    return each(profanity.contains_profanity)


def glin_profanity() -> Scores:
    """List of words and a look at those around; its models are downloaded, hence not measured."""
    from glin_profanity import Filter

    return each(Filter().is_profane)


def safetype() -> Scores:
    """Rules for profanity, hate and harassment."""
    from safetype import create_moderation_engine

    block = {"action": "block"}
    engine = create_moderation_engine(mode="mask", policy={"hate": block, "harassment": block})
    return each(lambda text: engine.validate(text).violations)


CANDIDATES: tuple[Callable[[], Scores], ...] = (
    hatesonar, tox_block, toxic_comment_classifier, toxicityclassifier, best_profanity, valx,
    better_profanity, glin_profanity, safetype,
)  # fmt: skip
