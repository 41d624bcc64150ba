"""A clock runs here: the two floors below, and the peers beside them."""

from vocscore.machine import settle_threads

settle_threads()  # as the command line does, and before any module here loads torch
