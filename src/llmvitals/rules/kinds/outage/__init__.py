"""Outages of a provider."""
