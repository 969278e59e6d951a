"""The settings, and where they are read from."""

from llmvitals.settings.sections import SECTIONS
from llmvitals.settings.settings import Settings, ViewSetting
from llmvitals.settings.sources import check_name, connection, load, unknown

__all__ = ["SECTIONS", "Settings", "ViewSetting", "check_name", "connection", "load", "unknown"]
