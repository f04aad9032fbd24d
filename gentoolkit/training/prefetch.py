"""Preparation of batches ahead of the step that needs them, in a background thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

import torch

T = TypeVar("T")


@contextmanager
def prefetched(items: Iterable[T], group_size: int = 1, depth: int = 2) -> Iterator[Iterator[T]]:
    """Yield an iterator over the same items, which a background thread prepares ahead.

    The thread computes on one core. With more, it would compete with the training step.
    What `items` raises is raised when its item would be due. At the end of the block, the thread finishes the group
    that it is preparing, and ends.

    Args:
        items: The items, prepared as they are iterated over.
        group_size: Number of items that the thread hands over at a time. Handing over a small item on its own takes
            longer than preparing it.
        depth: Number of groups that are ready or being prepared, besides the one in use.
    """
    free, ready = threading.Semaphore(depth), SimpleQueue[list[T] | BaseException | None]()
    stopped = threading.Event()

    def prepare() -> None:
        torch.set_num_threads(1)  # of this thread
        iterator = iter(items)
        try:
            while free.acquire() and not stopped.is_set():
                group: list[T] = []
                try:
                    group.extend(islice(iterator, group_size))
                finally:
                    ready.put(group)  # an exception is due after the items before it
                if len(group) < group_size:
                    ready.put(None)
                    return
        except BaseException as error:
            ready.put(error)

    def due() -> Iterator[T]:
        while (found := ready.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            free.release()
            yield from found

    number = torch.get_num_threads()
    thread = threading.Thread(target=prepare, name="prefetch", daemon=True)
    thread.start()
    try:
        yield due()
    finally:
        stopped.set()
        free.release()
        thread.join()
        torch.set_num_threads(number)  # of threads that start from now on
