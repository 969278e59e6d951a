"""What a worker refuses before it starts."""

from __future__ import annotations

import pytest

from llmvitals.errors import ConfigError
from llmvitals.record.log import Topic
from llmvitals.runtime.worker import refuse_partitions
from llmvitals.settings import Settings
from llmvitals.topics.declared import Present, difference
from llmvitals.topics.declared import Topic as Declared


@pytest.mark.parametrize("several", [Topic.ALERTS, Topic.VERDICTS])
def test_alerts_that_several_workers_would_tell_are_refused(several: Topic) -> None:
    """A topic that was made before, or by a broker on its own, has as many partitions as it likes."""
    settings = Settings()
    partitions = {settings.topic(topic): 1 + 3 * (topic is several) for topic in Topic}
    with pytest.raises(ConfigError, match=rf"llm\.{several}\.v1 has 4 partitions and has to have one"):
        refuse_partitions(settings, partitions)
    refuse_partitions(settings, partitions | {settings.topic(several): 1})
    wanted = Declared(settings.topic(several), "", 1)
    assert difference([wanted], {wanted.name: Present(4, 1, {})}).left == [
        f"llm.{several}.v1 has 4 partitions, 1 are declared: workers refuse that"
    ]
