"""`python -m llmvitals`."""

from llmvitals.entry import main

main()
