"""Drift: calls whose content has changed, by their embeddings."""
