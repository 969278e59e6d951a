"""Publishes the calls of an application: one line for each library, in the place where its client is made.

    client = openai.wrap(OpenAI(), publisher, team="search")

`openai` and `anthropic` wrap clients, `langchain`, `llamaindex` and `litellm` have handlers, `observe` is for
everything else. A module imports its library only when it is imported itself. Nothing here blocks the
application, raises into it, or changes what its libraries return and raise.
"""

from llmvitals.integrations.observe import observe, update

__all__ = ["observe", "update"]
