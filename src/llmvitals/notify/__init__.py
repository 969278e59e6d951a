"""Notifiers: incidents → people, by Slack or on a terminal. Any number at once."""
