"""Scores texts (toxicity, embeddings, scores), each scorer in a process of its own."""

from llmvitals.score.protocol import Gives, Scorer
from llmvitals.score.scorer_worker import ScorerWorker, find
from llmvitals.score.stage import Score, ScorePlan

__all__ = ["Gives", "Score", "ScorePlan", "Scorer", "ScorerWorker", "find"]
