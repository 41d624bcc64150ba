"""What libtiff has to say: kept for the verdict on the image, in place of standard error.

Pillow silences libtiff's warnings and leaves its errors to libtiff, which writes them to file
descriptor 2, as many as a damaged image has lines. libtiff has one handler for the process; what
it reports comes in the thread that decodes, so each thread keeps its own.
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
"""Characters of a message."""
_NAME: Final = b"tempfile.tif"
"""What Pillow calls every file."""

_heard = local()


@contextmanager
def errors_kept() -> Iterator[list[str]]:
    """Collect what libtiff reports in this thread: the first message of each kind.

    Yields:
        A list that fills, such as 'Fax4Decode: Bad code word at line 3 of strip 0 (x 66)'.
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
    """Take libtiff's handler of errors, once; without one that can be reached all stays as it is.

    Looked up through Pillow's own module, it is the handler of the libtiff that Pillow uses,
    wherever that lies and however many others the process has loaded.
    """
    try:
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        vsnprintf = ctypes.CDLL(None).vsnprintf
    except (AttributeError, OSError):  # built without libtiff, or with one inside that is hidden
        return
    kind: Any = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
    vsnprintf.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p)

    def hear(module: bytes | None, form: bytes, arguments: int) -> None:
        messages = getattr(_heard, "messages", None)
        if messages is None:  # not one of ours: someone else in this process decodes
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
    # Python is not to be called when there is none any more. This keeps the handler alive, too.
    atexit.register(lambda: handler and set_handler(None))
