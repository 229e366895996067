"""End a process whose parent has ended: it would wait for work for ever."""

import multiprocessing
import os
import threading


def die_with_parent() -> None:
    """End this process when its parent has ended; a thread waits for that."""
    threading.Thread(target=_wait_and_die, daemon=True).start()


def _wait_and_die() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
