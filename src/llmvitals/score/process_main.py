"""The process of one scorer: `python -m llmvitals.score.process_main SOCKET package.module:Class SECONDS`.

It ends when the worker closes the socket. Should the scorer hang for twice the time that a batch may take, it
ends by itself, so it does not outlive the worker for long.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import socket
import sys
from operator import attrgetter
from typing import Final, get_args

import numpy as np

from llmvitals.score.process import REQUEST, Answer, Hello, Inbox, Request, Trouble, pack
from llmvitals.score.protocol import Gives, Scorer

_LONGEST_REASON: Final = 300
"""Characters of the reason why a scorer can't be loaded."""


def main(file: int, target: str, seconds: float) -> None:
    """Load the scorer, and answer requests until the worker is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which then ends this process
    with socket.socket(fileno=file) as end, open(os.devnull, "w", encoding="utf-8") as nothing:  # noqa: PTH123 - for its number
        try:
            scorer = load(target)
        except Exception as error:  # noqa: BLE001 - it has seen no text yet, so the whole error may be sent
            end.sendall(pack(Trouble(0, f"{type(error).__name__}: {error}"[:_LONGEST_REASON])))
            return
        end.sendall(pack(Hello(scorer.name, scorer.gives)))
        for stream in (1, 2):  # what a scorer prints may hold a text
            os.dup2(nothing.fileno(), stream)
        inbox = Inbox(end)
        while True:
            try:
                request = REQUEST.decode(inbox.read())
            except (EOFError, ConnectionError):
                return
            faulthandler.dump_traceback_later(2 * seconds, exit=True, file=nothing)
            reply = answer(scorer, request)
            faulthandler.cancel_dump_traceback_later()
            end.sendall(pack(reply))


def load(target: str) -> Scorer:
    """Return the scorer at `package.module:attribute`, which is one, or makes one without arguments.

    Raises what its loading raises, and TypeError if it is not a scorer.
    """
    module, _, attribute = target.partition(":")
    found = attrgetter(attribute)(importlib.import_module(module))
    scorer = found() if isinstance(found, type) or not isinstance(found, Scorer) else found
    if not isinstance(scorer, Scorer) or not isinstance(scorer.name, str) or not 0 < len(scorer.name) <= 64:
        raise TypeError(
            "a scorer is called with texts, and has the attributes `name`, of 1 to 64 characters, and `gives`"
        )
    if scorer.gives not in get_args(Gives):
        raise TypeError(f"the attribute `gives` of a scorer is one of {', '.join(get_args(Gives))}")
    return scorer


def answer(scorer: Scorer, request: Request) -> Answer | Trouble:
    """Score the texts; return the numbers, or the type of the exception that the scorer raised."""
    try:
        numbers = np.ascontiguousarray(scorer(request.texts), np.dtype("<f8"))
    except Exception as error:  # noqa: BLE001 - whatever it is, the texts are unscored
        return Trouble(request.number, type(error).__name__)
    return Answer(request.number, numbers.shape, numbers.tobytes())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
