"""Topics as declared files: read them, look at the broker, show the difference, make it so.

It creates topics, adds partitions and changes settings. It never deletes, never takes a partition away, and
leaves settings that the files don't name as they are. Works with Kafka 2.8 and newer.
"""

from llmvitals.topics.change import apply, missing, plan
from llmvitals.topics.declared import Topic, load
from llmvitals.topics.difference import Present, TopicPlan

__all__ = ["Present", "Topic", "TopicPlan", "apply", "load", "missing", "plan"]
