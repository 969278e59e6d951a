"""Slack: messages, threads, buttons."""
