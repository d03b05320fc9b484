"""Processes in virtual time: waiting ones are in a heap, and the world and the processes take turns in the order of time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from typing import Any

from snapkeep.lab.ebs_model import VirtualClock, World

Steps = Generator["Sleep | AwaitToken | Join", Any, Any]
"""A process: it yields the object of its wait, and gets the result."""

DEEPEST_PAUSE = 8
"""The greatest depth of nested paused steps; deeper ones block everything while they wait."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """A wait for a number of seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AwaitToken:
    """A wait for the answer to a task token, with a time-out in seconds."""

    token: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Join:
    """A wait for the end of all these processes."""

    processes: Sequence[Process]


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """The answer to a token: an output, or an error with its cause."""

    output: Mapping[str, object] = field(default_factory=dict)
    error: str = ""
    cause: str = ""


TIMED_OUT = TokenAnswer(error="States.Timeout")


class Process:
    """A running generator."""

    __slots__ = ("ended", "parent", "result", "steps", "waits_for")

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.ended = False
        self.result: Any = None
        self.parent: Process | None = None
        self.waits_for = 0


class Kernel:
    """Runs processes over a world with a virtual clock."""

    def __init__(self, world: World) -> None:
        if not isinstance(world.clock, VirtualClock):
            raise TypeError("processes in virtual time need a world with a VirtualClock")
        self.world = world
        self.clock: VirtualClock = world.clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._tokens: dict[str, Process | None] = {}
        self._early: dict[str, TokenAnswer] = {}
        self._paused = 0

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Schedule an action for a time in seconds since the epoch."""
        self._sequence += 1
        heappush(self._heap, (moment, self._sequence, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Schedule an action after a number of seconds."""
        self.at(self.world.now() + seconds, action)

    def spawn(self, steps: Steps) -> Process:
        """Start a process now and return it."""
        process = Process(steps)
        self._resume(process, None)
        return process

    def issue_token(self) -> str:
        """Return a new task token."""
        self._sequence += 1
        token = f"token-{self._sequence}"
        self._tokens[token] = None
        return token

    def withdraw_token(self, token: str) -> None:
        """Cancel the wait for a token."""
        self._tokens.pop(token, None)
        self._early.pop(token, None)

    def answer(self, token: str, answer: TokenAnswer) -> bool:
        """Resume the process that waits for a token with an answer. Return False if no process waits."""
        if token not in self._tokens:
            return False
        process = self._tokens.pop(token)
        if process is None:
            self._early[token] = answer
        else:
            self.after(0.0, lambda: self._resume(process, answer))
        return True

    def next_due(self) -> float | None:
        """Return the time of the next event, in the world or in a process; None if there is none."""
        worlds = self.world.next_due()
        if not self._heap:
            return worlds
        own = self._heap[0][0]
        return own if worlds is None else min(own, worlds)

    def run_until(self, moment: float) -> None:
        """Run everything up to a time, in order."""
        while self._step(moment):
            pass
        self.world.run_until(moment)

    def run_one(self) -> bool:
        """Run the next event, regardless of its time. Return False if there is none."""
        return self._step(float("inf"))

    def pause(self, seconds: float) -> None:
        """Wait inside a step while everything else continues."""
        until = self.clock.now() + seconds
        if self._paused >= DEEPEST_PAUSE:
            self.world.run_until(until)
            return
        self._paused += 1
        try:
            self.run_until(until)
        finally:
            self._paused -= 1

    def _step(self, latest: float) -> bool:
        """Run the next event, one of the world before one of a process. Return False if it is due later, or if there is none."""
        heap, worlds = self._heap, self.world.next_due()
        if heap and (worlds is None or heap[0][0] < worlds):
            if heap[0][0] > latest:
                return False
            due, _, action = heappop(heap)
            self.clock.move_to(due)
            action()
            return True
        if worlds is None or worlds > latest:
            return False
        self.world.run_until(max(worlds, self.clock.now()))
        return True

    def _resume(self, process: Process, value: Any) -> None:
        while True:
            try:
                command = process.steps.send(value)
            except StopIteration as stop:
                self._end(process, stop.value)
                return
            if isinstance(command, Sleep):
                self.after(command.seconds, lambda: self._resume(process, None))
                return
            if isinstance(command, AwaitToken):
                early = self._early.pop(command.token, None)
                if early is None:
                    self._tokens[command.token] = process
                    self.after(command.seconds, partial(self._time_out, command.token))
                    return
                value = early
            else:
                running = [awaited for awaited in command.processes if not awaited.ended]
                if running:
                    process.waits_for = len(running)
                    for awaited in running:
                        awaited.parent = process
                    return
                value = None

    def _end(self, process: Process, result: Any) -> None:
        process.ended, process.result = True, result
        parent = process.parent
        if parent is not None:
            parent.waits_for -= 1
            if not parent.waits_for:
                self._resume(parent, None)

    def _time_out(self, token: str) -> None:
        process = self._tokens.pop(token, None)
        if process is not None:
            self._resume(process, TIMED_OUT)
