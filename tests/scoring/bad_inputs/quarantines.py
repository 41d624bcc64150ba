"""Bad inputs by name, and what a quarantine holds of them."""

from __future__ import annotations

import csv

from score_doubles import is_bad

NAMES = [f"{i // 5}/{i:02d}{'bad' if i % 4 == 1 else ''}.jpg" for i in range(22)]
BAD = [name for name in NAMES if is_bad(name)]
RUN = {"listing": "x"}


def table(folder):
    with (folder / "quarantine.csv").open(
        encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        return list(csv.DictReader(file))


def copies(folder):
    """Relative path -> bytes of everything below that is no table and no mark."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {n: data for n, data in found.items() if n not in ("quarantine.csv", ".vocscore.json")}


def check(source, folder, bad):
    rows = table(folder)
    assert [row["path"] for row in rows] == bad
    assert {(row["reason"], row["detail"]) for row in rows} == {("corrupt", "it is bad")}
    assert copies(folder) == {row["copy"]: (source / row["path"]).read_bytes() for row in rows}
