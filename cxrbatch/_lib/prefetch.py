"""Take items from an iterator in a thread, before they are needed."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, Queue
from typing import Generic, TypeVar

T = TypeVar("T")

_PAUSE_S = 0.05


class _End:
    """Marker after the last item."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Prefetcher(Generic[T]):
    """Items that a thread takes from an iterator while fewer than `n_ahead` are waiting."""

    def __init__(self, items: Iterable[T], n_ahead: int) -> None:
        self._waiting: Queue[T | _End] = Queue(n_ahead)
        self._is_over = False
        self._thread = threading.Thread(target=self._take, args=(items,), name="ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        while not isinstance(item := self._waiting.get(), _End):
            yield item
        if item.error:
            raise item.error

    def _take(self, items: Iterable[T]) -> None:
        end = _End()
        try:
            for item in items:
                self._waiting.put(item)
                if self._is_over:
                    break
        except BaseException as error:  # raised where the next item is taken
            end = _End(error)
        self._waiting.put(end)

    def stop(self) -> None:
        """End the thread, and the iteration of any consumer that still waits for an item."""
        self._is_over = True
        while self._thread.is_alive():
            with contextlib.suppress(Empty):
                self._waiting.get_nowait()
            self._thread.join(_PAUSE_S)
        with contextlib.suppress(Empty):
            while True:
                self._waiting.get_nowait()
        self._waiting.put(_End())


@contextlib.contextmanager
def prefetch(items: Iterable[T], n_ahead: int, stop: Callable[[], object]) -> Iterator[Iterator[T]]:
    """Take items from an iterator in a thread, while the caller does something else.

    Parameters
    ----------
    items : iterable
        Used by the thread alone. An exception that it raises is raised where the next item is taken.
    n_ahead : int
        How many items may wait.
    stop : callable
        Called at the end: makes an iterator that is waiting give up.

    Yields
    ------
    iterator
        The same items in the same order.
    """
    ahead = _Prefetcher(items, n_ahead)
    try:
        yield iter(ahead)
    finally:
        stop()
        ahead.stop()
