"""Makes the output of parts that several processes have committed appear as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import ExitStack
    from pathlib import Path

    from vocscore.scoring.output.features_parts import FeaturesFormat
    from vocscore.scoring.output.part_store import Join


class Publisher(Protocol):
    """The last steps of an output. Every method may raise OSError.

    Attributes:
        features_bytes: size of the joined features; None: there are none.
    """

    features_bytes: int | None

    def hold(self, held: ExitStack) -> None:
        """Keep other merges of the same output away where that is possible.

        Raises:
            ScoreError: another one is under way.
        """

    def settle(self) -> bool:
        """Finish a merge that was killed when the output was complete; whether there was one."""

    def refuse_existing(self, *, overwrite: bool) -> None:
        """Raise if the output, or something of its name, exists and must not be replaced."""

    def close(self) -> None:
        """Remove the publisher's own files, after all parts are gone."""

    def publish(
        self,
        parts: Callable[[], Iterable[Path]],
        write: Join,
        *,
        features: tuple[FeaturesFormat, Callable[[], Iterable[Path]]] | None,
        record: Callable[[int], bytes] | None,
        files: bytes | None,
    ) -> None:
        """Write the output and what belongs to it.

        Args:
            parts: the verified parts in order; each is there until the next one is asked for.
            write: joins them.
            features: joins the parts of the features, and these; None: there are none.
            record: returns the record, given the size of the output in bytes.
            files: the stamps of the images.
        """
