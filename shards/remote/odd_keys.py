"""Lists keys that obstore refuses ('a//b.jpg', '..', control characters), through boto3.

obstore ends a whole listing at the first such key. They cannot be read, but must be counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.errors import StorageError
from shards.remote.places import redacted, scheme, split

if TYPE_CHECKING:
    from collections.abc import Iterator


def keys_behind(url: str, last: str | None) -> Iterator[tuple[str, int, str | None]]:
    """Yield key, size and etag of every object below a URL, behind a key.

    Raises:
        StorageError: the storage is not S3's, boto3 is missing, or it cannot list.
    """
    where = redacted(url)
    _, bucket, prefix = split(url)
    try:
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        boto3 = None
    if boto3 is None or scheme(url) != "s3":
        cure = " (pip install boto3 to go on without it)" if scheme(url) == "s3" else ""
        behind = f" behind {last}" if last else ""
        raise StorageError(
            f"{where}: a key{behind} has an empty, '.' or '..' part or a control character, and "
            f"cannot be listed{cure}. Rename it, or name a folder without it."
        )
    from shards.remote.credentials import s3_options

    options = s3_options(where)
    signed = {"signature_version": UNSIGNED} if options.get("skip_signature") else {}
    client = boto3.client(
        "s3",
        endpoint_url=options.get("endpoint"),
        region_name=options.get("region"),
        config=Config(retries={"max_attempts": 6, "mode": "standard"}, **signed),
    )
    more = {"StartAfter": last} if last else {}
    below = f"{prefix}/" if prefix else ""
    try:
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=below, **more
        )
        for page in pages:
            for item in page.get("Contents", ()):
                yield item["Key"], int(item["Size"]), item.get("ETag")
    except (BotoCoreError, ClientError) as error:
        kind = type(error).__name__
        raise StorageError(f"{where}: cannot be listed ({kind}).", passing=True) from None
    finally:
        client.close()
