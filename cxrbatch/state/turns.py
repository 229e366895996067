"""Write many rows in short transactions, so that others get their turn: rows in, all of them written.

Whoever enters a result while a run is at work waits for no more than one of them.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

_ROWS_AT_ONCE = 5000
_PAUSE_S = 0.05
"""Who waits for SQLite asks again and again, at the latest after 0.1 s."""


@contextmanager
def at_once(connection: sqlite3.Connection) -> Iterator[None]:
    """Do what follows in one transaction that waits for its turn at the beginning, not in the middle."""
    connection.commit()
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def write_in_turns(connection: sqlite3.Connection, query: str, rows: Iterable[Any]) -> None:
    """Execute a query for many rows; after a kill in between some of them are written."""
    waiting = iter(rows)
    while part := list(islice(waiting, _ROWS_AT_ONCE)):
        with at_once(connection):
            connection.executemany(query, part)
        if len(part) == _ROWS_AT_ONCE:
            time.sleep(_PAUSE_S)
