"""`python -m llmvitals`."""

from llmvitals.cli import main

main()
