"""A broker with another listener than the open one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmvitals.local.kafka import LocalKafka

if TYPE_CHECKING:
    from collections.abc import Callable


class SecuredKafka(LocalKafka):
    """protocol: of its listener. properties: those that say who may come in."""

    def __init__(self, protocol: str, properties: str, *, progress: Callable[[str], None] = print) -> None:
        super().__init__(progress=progress)
        self._protocol, self._properties = protocol, properties

    def prepare(self) -> list[str]:
        command = super().prepare()
        file = self.folder / "server.properties"
        controller = re.search(r"CONTROLLER://\S+", file.read_text())
        assert controller
        with file.open("a") as out:
            out.write(
                f"listeners={self._protocol}://{self.address},{controller[0]}\n"
                f"advertised.listeners={self._protocol}://{self.address}\n"
                f"listener.security.protocol.map={self._protocol}:{self._protocol},CONTROLLER:PLAINTEXT\n"
                f"security.inter.broker.protocol={self._protocol}\n{self._properties}"
            )
        return command
