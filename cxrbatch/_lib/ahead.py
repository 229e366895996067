"""Do something with many items at a time in threads, in their order: for what mostly waits."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], n_threads: int
) -> Iterator[tuple[Item, Result]]:
    """Call a function for each item, a bounded number ahead.

    Yields
    ------
    item, result
        In the order of the items. An exception of `function` is raised in its turn.
    """
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    executor = ThreadPoolExecutor(n_threads, "ahead")
    try:
        for item in items:
            waiting.append((item, executor.submit(function, item)))
            if len(waiting) > 2 * n_threads:
                first, result = waiting.popleft()
                yield first, result.result()
        while waiting:
            first, result = waiting.popleft()
            yield first, result.result()
    finally:
        executor.shutdown(cancel_futures=True)
