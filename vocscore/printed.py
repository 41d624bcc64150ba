"""Reports with a readable `str`, also in notebooks."""

from __future__ import annotations

from html import escape


class Printed:
    """A value with a readable `str`."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """The HTML that a notebook shows."""
        return f"<pre>{escape(str(self))}</pre>"
