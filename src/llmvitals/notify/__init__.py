"""Alerts → people: one Slack message per incident, edited in place."""
