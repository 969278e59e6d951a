"""A Slack server for tests of what llmvitals, or another program, posts.

    async with FakeSlack(channels=["#alerts"]) as slack:
        settings = Settings(slack_token=slack.token, slack_channel="#alerts", slack_api_url=slack.url)
        ...
        message = await slack.wait_for(lambda message: "TeamMonthlyBudget" in message.text)
        await slack.press(message, "llmvitals_ack", user="ann")

It listens on 127.0.0.1, answers as Slack does (mostly HTTP 200 with `ok: false` and Slack's own error
names), refuses what Slack would refuse, and fails on demand.
"""

from llmvitals.testing.fake_slack import WEBHOOK_PATH, FakeSlack
from llmvitals.testing.workspace import Fault, Posted

__all__ = ["WEBHOOK_PATH", "FakeSlack", "Fault", "Posted"]
