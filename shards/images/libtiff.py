"""Captures libtiff's errors for the verdict on the image, instead of printing them.

Pillow silences libtiff's warnings and leaves its errors to libtiff, which writes them to file
descriptor 2, one for each line of a damaged image. libtiff has one handler per process; it is
called in the decoding thread, so each thread keeps its own messages.
"""

from __future__ import annotations

import atexit
import ctypes
from contextlib import contextmanager
from functools import cache
from threading import local
from typing import TYPE_CHECKING, Any, Final

from PIL import _imaging

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST: Final = 300
"""Maximum characters of a message."""
_NAME: Final = b"tempfile.tif"
"""The name that Pillow gives every file."""

_heard = local()


@contextmanager
def errors_kept() -> Iterator[list[str]]:
    """Collect libtiff's errors in this thread: the first message of each kind.

    Yields:
        The list to which messages are appended, such as
        'Fax4Decode: Bad code word at line 3 of strip 0 (x 66)'.
    """
    _listen()
    messages: list[str] = []
    _heard.formats, _heard.messages = set(), messages
    try:
        yield messages
    finally:
        _heard.messages = None


@cache
def _listen() -> None:
    """Install libtiff's error handler, once; does nothing if libtiff cannot be reached.

    Looked up through Pillow's own module, it is the handler of the libtiff that Pillow uses,
    wherever that is installed and however many others the process has loaded.
    """
    try:
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        vsnprintf = ctypes.CDLL(None).vsnprintf
    except (AttributeError, OSError):  # built without libtiff, or its symbols are hidden
        return
    kind: Any = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
    vsnprintf.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p)

    def hear(module: bytes | None, form: bytes, arguments: int) -> None:
        messages = getattr(_heard, "messages", None)
        if messages is None:  # not ours: other code in this process is decoding
            if before is not None:
                before(module, form, arguments)
            return
        if form in _heard.formats:
            return
        _heard.formats.add(form)
        text = ctypes.create_string_buffer(_LONGEST)
        vsnprintf(text, _LONGEST, form, arguments)
        known = module if module and module != _NAME else b"libtiff"
        messages.append(b": ".join((known, text.value)).decode(errors="replace").rstrip("."))

    handler = kind(hear)
    set_handler.argtypes, set_handler.restype = (ctypes.c_void_p,), ctypes.c_void_p
    found = set_handler(ctypes.cast(handler, ctypes.c_void_p))
    before = kind(found) if found else None
    # Python must not be called after it has shut down. This also keeps the handler alive.
    atexit.register(lambda: handler and set_handler(None))
