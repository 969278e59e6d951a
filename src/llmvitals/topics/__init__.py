"""Declared topics: read the files, compare them with the broker, show the difference, and apply it.

`apply` creates topics, adds partitions and changes settings. It never deletes topics or partitions, and keeps
settings that the files do not name. Works with Kafka 2.8 and newer.
"""

from llmvitals.topics.change import apply, missing, plan
from llmvitals.topics.declared import Present, Topic, TopicPlan, load

__all__ = ["Present", "Topic", "TopicPlan", "apply", "load", "missing", "plan"]
