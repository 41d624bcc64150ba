"""Serves the page of some predictions, asks for it, and closes it: `python page.py PREDICTIONS`.

Prints what it may not do: connections to other machines, listening for them, and forks.
"""

from __future__ import annotations

import os
import sys
import urllib.request

LOOPBACK = ("127.0.0.1", "::1")  # urllib3, where it is installed, tries whether there is IPv6
noted: list[str] = []


def watch(event: str, args: tuple) -> None:
    """Note what goes beyond this machine."""
    if event in ("socket.connect", "socket.bind") and args[1][0] not in LOOPBACK:
        noted.append(f"{event} {args[1]}")
    elif event == "socket.getaddrinfo" and args[0] not in (*LOOPBACK, b"127.0.0.1"):
        noted.append(f"{event} {args[0]}")
    elif event in ("os.fork", "os.forkpty"):
        noted.append(event)


def main() -> None:
    """Serve, ask, close."""
    sys.addaudithook(watch)
    os.register_at_fork(before=lambda: noted.append("fork"))
    import vocscore as vs

    with vs.view(sys.argv[1], open=False, progress=False) as page:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.addheaders = [("Cookie", f"{page.access.cookie}={page.access.token}")]
        address = page.address.partition("/open")[0]
        for path in ("/", "/gallery", "/image/0/0/96"):
            with opener.open(address + path) as answer:
                assert answer.status == 200
                answer.read()
    sys.stdout.write("".join(f"{line}\n" for line in noted))


if __name__ == "__main__":
    main()
