"""Executes networks: one interface (`Runtime`) with several implementations.

`load.py` opens a runtime for a checkpoint, a network in memory, or a backbone.
"""

from vocscore import caches
from vocscore.runtime.base import Results, Runtime
from vocscore.runtime.devices import resolve_device

__all__ = ["Results", "Runtime", "resolve_device"]

caches.settle()
