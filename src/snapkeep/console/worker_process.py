"""Work that takes a minute, in a process of its own: pages stay responsive, and it ends when no page waits for it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from snapkeep.cli.errors import WrongUse, one_line

LOOK_SECONDS = 0.1
"""The interval of the checks whether the work is done, or no page waits."""
Runner: TypeAlias = Callable[[Callable[..., str], Sequence[Any], Callable[[], Awaitable[bool]]], Awaitable[str | None]]
"""Runs work with arguments; returns None once the last argument says that no page waits."""


async def run_apart(work: Callable[..., str], arguments: Sequence[Any], abandoned: Callable[[], Awaitable[bool]]) -> str | None:
    """Return the text that a function of a module returns for arguments, from a process of its own; None if no page waits.

    Raise WrongUse with the error of the work.
    """
    context = get_context("spawn")  # a fork of a process with threads can inherit their locks
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, work, arguments), daemon=True)
    process.start()
    sender.close()  # its end in the other process alone is open: if that ends without an answer, the pipe ends
    try:
        while not receiver.poll():
            if await abandoned():
                return None
            await asyncio.sleep(LOOK_SECONDS)
        text, problem = receiver.recv()
    except EOFError:
        text, problem = "", "its process ended without an answer"
    finally:
        process.kill()
        process.join()
        receiver.close()
    if problem:
        raise WrongUse(problem)
    return str(text)


def _answer(sender: Connection, work: Callable[..., str], arguments: Sequence[Any]) -> None:
    try:
        sender.send((work(*arguments), ""))
    except Exception as error:  # noqa: BLE001 - the page says it
        sender.send(("", one_line(error)))
