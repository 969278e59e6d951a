"""Scores texts (toxicity, embeddings, scores), each scorer in a process of its own."""

from llmvitals.score.protocol import Gives, Scorer
from llmvitals.score.registry import find
from llmvitals.score.scorer_worker import ScorerWorker
from llmvitals.score.stage import Score, ScorePlan

__all__ = ["Gives", "Score", "ScorePlan", "Scorer", "ScorerWorker", "find"]
