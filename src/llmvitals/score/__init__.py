"""Texts → toxicity, vectors and scores, in a process of its own for each scorer."""

from llmvitals.score.protocol import Gives, Scorer
from llmvitals.score.registry import find
from llmvitals.score.scorer_worker import Bench
from llmvitals.score.stage import Plan, Score

__all__ = ["Bench", "Gives", "Plan", "Score", "Scorer", "find"]
