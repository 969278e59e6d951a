"""The process of one scorer: `python -m llmvitals.score.child SOCKET package.module:Class SECONDS`.

It ends when the other side of the socket is closed, and, should the scorer hang for twice the time that it
may take, by itself: so it never outlives the worker for long.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np

from llmvitals.score.protocol import Gives
from llmvitals.score.wire import ASKED, Answer, Ask, Hello, Inbox, Trouble, pack

if TYPE_CHECKING:
    from llmvitals.score.protocol import Scorer

_TOLD: Final = 300
"""Characters of why a scorer can't be loaded."""


def main(file: int, target: str, seconds: float) -> None:
    """Load the scorer, and answer until the worker is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which then ends us
    with socket.socket(fileno=file) as end, open(os.devnull, "w", encoding="utf-8") as nothing:  # noqa: PTH123 - for its number
        try:
            scorer = load(target)
        except Exception as error:  # noqa: BLE001 - it has seen no text yet, so all of it may be told
            end.sendall(pack(Trouble(0, f"{type(error).__name__}: {error}"[:_TOLD])))
            return
        end.sendall(pack(Hello(scorer.name, scorer.gives)))
        for stream in (1, 2):  # a text may be in what it prints
            os.dup2(nothing.fileno(), stream)
        inbox = Inbox(end)
        while True:
            try:
                asked = ASKED.decode(inbox.read())
            except (EOFError, ConnectionError):
                return
            faulthandler.dump_traceback_later(2 * seconds, exit=True, file=nothing)
            said = answer(scorer, asked)
            faulthandler.cancel_dump_traceback_later()
            end.sendall(pack(said))


def load(target: str) -> Scorer:
    """The scorer at `package.module:attribute`. Raises what its loading raises; TypeError if it is none."""
    module, _, attribute = target.partition(":")
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    scorer: Any = found() if isinstance(found, type) or not hasattr(found, "gives") else found
    name, gives = getattr(scorer, "name", None), getattr(scorer, "gives", None)
    if not isinstance(name, str) or not 0 < len(name) <= 64 or not callable(scorer):
        raise TypeError("a scorer is called with texts, and has a name of 1 to 64 characters")
    if gives not in get_args(Gives):
        raise TypeError(
            f"a scorer gives one of {', '.join(get_args(Gives))}: that is what `gives` has to say"
        )
    return scorer  # type: ignore[no-any-return]


def answer(scorer: Scorer, asked: Ask) -> Answer | Trouble:
    """What it says of the texts, or the type of what it raises."""
    try:
        found = np.ascontiguousarray(scorer(asked.texts), np.dtype("<f8"))
    except Exception as error:  # noqa: BLE001 - whatever it is, the texts are unscored
        return Trouble(asked.number, type(error).__name__)
    return Answer(asked.number, found.shape, found.tobytes())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
