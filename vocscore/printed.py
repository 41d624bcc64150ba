"""Reports that print well, in a notebook too."""

from __future__ import annotations

from html import escape


class Printed:
    """A value whose `str` is for people."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return f"<pre>{escape(str(self))}</pre>"
