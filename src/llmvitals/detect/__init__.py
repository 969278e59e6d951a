"""Detectors: closed panes of one series → readings. Settings are frozen; state is plain data."""
