"""Calls that are about something else than they were."""
