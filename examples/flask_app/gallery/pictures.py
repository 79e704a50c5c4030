"""What visitors have uploaded, in SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from flask import current_app

if TYPE_CHECKING:
    from flask import Flask

    from s3img.uploads import Uploaded

_TABLE = "CREATE TABLE IF NOT EXISTS pictures (key TEXT PRIMARY KEY, alt TEXT, width INTEGER, height INTEGER)"


def init_app(app: Flask) -> None:
    """Make the table."""
    Path(app.instance_path).mkdir(parents=True, exist_ok=True)
    with app.app_context(), closing(_connect()) as database, database:
        database.execute(_TABLE)


def add(uploaded: Uploaded, alt: str) -> None:
    """Remember an upload; the same picture twice is one."""
    row = (uploaded.key, alt, uploaded.width, uploaded.height)
    with closing(_connect()) as database, database:
        database.execute("INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?)", row)


def newest(count: int = 24) -> list[sqlite3.Row]:
    """Return the last uploads, newest first."""
    with closing(_connect()) as database:
        return database.execute("SELECT * FROM pictures ORDER BY rowid DESC LIMIT ?", (count,)).fetchall()


def _connect() -> sqlite3.Connection:
    database = sqlite3.connect(Path(current_app.instance_path, "gallery.sqlite"))
    database.row_factory = sqlite3.Row
    return database
