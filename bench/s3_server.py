"""A small S3 server with latency: `python -m bench.s3_server FOLDER SECONDS KEYS`.

It answers what reading needs: HEAD, GET with ranges, and listings in pages. The folder is the
bucket 'bench'; below 'many/' there are KEYS more keys, which are only listed. It prints its port.
Real servers cost the client's machine nothing, so this one costs as little as it can.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET, MANY = "bench", "many/"
_PAGE = 1000


class Server:
    """Answers requests for one bucket.

    Args:
        folder: its contents.
        latency: seconds before each answer.
        many: number of keys below 'many/'.
    """

    def __init__(self, folder: Path, *, latency: float, many: int) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        self._latency = latency
        self._many = many

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ", 2)
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
                await asyncio.sleep(self._latency)
                status, data, more = self._answer(target, headers.get("range", ""))
                head = [f"HTTP/1.1 {status} OK", f"Content-Length: {len(data)}", *more, "", ""]
                writer.write("\r\n".join(head).encode() + (b"" if method == "HEAD" else data))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, target: str, asked: str) -> tuple[int, bytes, list[str]]:
        """Status, body and header lines; `asked` is a range of bytes, or ''."""
        url = urlsplit(target)
        query = parse_qs(url.query)
        if "list-type" in query:
            return 200, self._page(query).encode(), ["Content-Type: application/xml"]
        data = self._files.get(unquote(url.path).removeprefix(f"/{BUCKET}").removeprefix("/"))
        if data is None:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", []
        lines = [f'ETag: "{len(data)}"', "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT"]
        if not asked:
            return 200, data, lines
        first, _, last = asked.removeprefix("bytes=").partition("-")
        stop = min(int(last) + 1 if last else len(data), len(data))
        lines.append(f"Content-Range: bytes {first}-{stop - 1}/{len(data)}")
        return 206, data[int(first) : stop], lines

    def _page(self, query: dict[str, list[str]]) -> str:
        """One page of a listing; the token of the next one is the number of keys before it."""
        prefix = query.get("prefix", [""])[0]
        most = min(int(query.get("max-keys", ["1000"])[0]), _PAGE)
        start = int(query.get("continuation-token", ["0"])[0])
        if prefix == MANY:
            numbers, length = range(start, min(start + most, self._many)), self._many
            keys = [(f"{MANY}{n // 1000:06d}/{n:09d}.jpg", 90_000) for n in numbers]
        else:
            found = [(k, len(d)) for k, d in self._files.items() if k.startswith(prefix)]
            keys, length = found[start : start + most], len(found)
        items = "".join(
            f'<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"'
            f'{size}"</ETag><Size>{size}</Size></Contents>'
            for key, size in keys
        )
        more = length > start + most
        token = f"<NextContinuationToken>{start + most}</NextContinuationToken>" if more else ""
        return (
            f'<?xml version="1.0"?><ListBucketResult><Name>{BUCKET}</Name><KeyCount>{len(keys)}'
            f"</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}"
            "</ListBucketResult>"
        )


async def main(folder: Path, latency: float, many: int) -> None:
    """Serve until the process is ended."""
    answering = Server(folder, latency=latency, many=many)
    server = await asyncio.start_server(answering.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
