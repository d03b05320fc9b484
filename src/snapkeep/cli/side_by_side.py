"""Reads regions at the same time, and shows what a command waits for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TypeVar

Result = TypeVar("Result")


def side_by_side(tasks: Mapping[str, Callable[[], Result]]) -> dict[str, Result]:
    """Return what each region's task returns, in the order of the tasks. Raise what one of them raises."""
    if not tasks:
        return {}
    with _spinner() as show, ThreadPoolExecutor(max_workers=len(tasks)) as pool:
        # A dictionary of futures keeps the order of the tasks, whichever ends first.
        regions = {pool.submit(task): region for region, task in tasks.items()}
        waiting = list(tasks)
        show(waiting)
        for future in as_completed(regions):
            waiting.remove(regions[future])
            if waiting:
                show(waiting)
        return {region: future.result() for future, region in regions.items()}


@contextmanager
def _spinner() -> Iterator[Callable[[Iterable[str]], None]]:
    """Show on stderr which regions have not answered yet, where it is a terminal. A server's threads show nothing."""
    if not sys.stderr.isatty() or current_thread() is not main_thread():
        yield lambda _: None
        return
    from snapkeep.cli.output import literal, make_console  # noqa: PLC0415 - imports rich

    with make_console(stderr=True).status("") as status:
        yield lambda regions: status.update(literal(f"waiting for {', '.join(regions)}"))
