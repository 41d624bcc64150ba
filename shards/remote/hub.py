"""`hf://`: huggingface_hub pins a commit, lists it and finds the token; bytes come by https."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from shards.errors import StorageError
from shards.remote.places import redacted, split

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS: Final = {"datasets": "dataset", "spaces": "space"}


class Repository(NamedTuple):
    """A repository of the hub.

    Attributes:
        kind: 'dataset', 'space' or 'model'.
        name: ORG/NAME.
        revision: a branch, a tag or a commit; None for the default branch.
    """

    kind: str
    name: str
    revision: str | None


def repository(url: str) -> tuple[Repository, str]:
    """Split a URL into its repository and the path in it."""
    _, bucket, path = split(url)
    first, _, rest = bucket.partition("/")
    kind, full = (_KINDS[first], rest) if first in _KINDS else ("model", bucket)
    name, _, revision = full.partition("@")
    return Repository(kind, name, revision.replace("%2F", "/") or None), path


def pinned(url: str) -> str:
    """Return the URL with the commit that its revision stands for now.

    Raises:
        StorageError: as for `address`.
    """
    repo, path = repository(url)
    folder = {"dataset": "datasets/", "space": "spaces/"}.get(repo.kind, "")
    return f"hf://{folder}{repo.name}@{_commit(repo, redacted(url))}/{path}".rstrip("/")


def address(url: str) -> tuple[str, str | None]:
    """Return the web address of a file, and the token for it.

    Raises:
        StorageError: huggingface_hub is missing, or there is no such repository or revision, or no
            permission.
    """
    hub = _library(redacted(url))
    repo, path = repository(url)
    folder = {"dataset": "datasets/", "space": "spaces/"}.get(repo.kind, "")
    commit = _commit(repo, redacted(url))
    base = str(hub.constants.ENDPOINT).rstrip("/")
    return f"{base}/{folder}{repo.name}/resolve/{commit}/{quote(path)}", _token(hub)


def files(url: str) -> Iterator[tuple[str, int, str | None]]:
    """Yield path, size and etag of every file below a URL, in pages.

    Raises:
        StorageError: as for `address`.
    """
    hub = _library(redacted(url))
    repo, path = repository(url)
    commit = _commit(repo, redacted(url))
    with _explained(redacted(url), hub):
        for item in hub.HfApi().list_repo_tree(
            repo.name,
            path_in_repo=path or None,
            recursive=True,
            revision=commit,
            repo_type=repo.kind,
        ):
            if isinstance(item, hub.hf_api.RepoFile):
                yield item.path, int(item.size), item.lfs.sha256 if item.lfs else item.blob_id


def _token(hub: Any) -> str | None:
    found = hub.get_token()
    return None if found is None else str(found)


def _commit(repo: Repository, where: str) -> str:
    if repo.revision and len(repo.revision) == 40 and set(repo.revision) <= set("0123456789abcdef"):
        return repo.revision
    return _looked_up(repo, where)


@lru_cache(maxsize=64)
def _looked_up(repo: Repository, where: str) -> str:
    hub = _library(where)
    with _explained(where, hub):
        info = hub.HfApi().repo_info(repo.name, revision=repo.revision, repo_type=repo.kind)
        return str(info.sha)


def _library(where: str) -> Any:
    try:
        import huggingface_hub
        from huggingface_hub import constants, errors, hf_api
    except ImportError:
        raise StorageError(f"{where}: needs huggingface_hub: pip install 'vocscore[hf]'") from None
    del constants, errors, hf_api  # loaded as attributes
    _ask_no_more(huggingface_hub)
    return huggingface_hub


def _ask_no_more(hub: Any) -> None:
    """Keep the library from asking the hub which programs may have started it.

    It would do so once a day, before the first request; an empty answer stands for none.
    """
    with suppress(ImportError, AttributeError):
        detection: Any = import_module(f"{hub.__name__}.utils._detect_agent")
        if detection._registry is None:  # noqa: SLF001 - there is no variable for it
            detection._registry = detection._EMPTY_REGISTRY  # noqa: SLF001


def _of_requests(errors: Any) -> tuple[type[Exception], ...]:
    """What a request may raise: OSError, and the base of all errors of the library's own client."""
    bases = errors.HfHubHTTPError.__mro__
    return (OSError, *(base for base in bases if base.__name__ == "HTTPError"))


@contextmanager
def _explained(where: str, hub: Any) -> Iterator[None]:
    errors = hub.errors
    try:
        yield
    except errors.GatedRepoError:
        raise StorageError(
            f"{where}: access must be asked for on its page, then: hf auth login"
        ) from None
    except errors.RepositoryNotFoundError:
        raise StorageError(
            f"{where}: no such repository, or it is private: set HF_TOKEN, or run 'hf auth login'."
        ) from None
    except errors.RevisionNotFoundError:
        raise StorageError(f"{where}: the repository has no such revision.") from None
    except errors.EntryNotFoundError:
        raise FileNotFoundError(2, "No such folder", where) from None
    except errors.OfflineModeIsEnabled:
        raise StorageError(f"{where}: HF_HUB_OFFLINE=1 forbids it.") from None
    except _of_requests(errors) as error:
        answer = getattr(getattr(error, "response", None), "status_code", None)
        why = f"the hub answers {answer}" if answer else "the hub cannot be reached"
        raise StorageError(f"{where}: {why}.", passing=answer not in (401, 403)) from None
    except ValueError:  # not a name of a repository
        raise StorageError(f"{where}: not the name of a repository: ORG/NAME.") from None
