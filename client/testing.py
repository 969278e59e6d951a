"""Stands in the wheel of llmvitals-client for a module that only llmvitals has."""

raise ModuleNotFoundError(
    "llmvitals-client has no llmvitals.testing, it only sends calls: pip install llmvitals",
    name="llmvitals.testing",
)
