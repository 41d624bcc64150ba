"""The features that `datasets` writes into the metadata of an Arrow schema.

Source: https://huggingface.co/docs/datasets/about_dataset_features; the key 'huggingface' of the
schema's metadata is `{"info": {"features": {COLUMN: FEATURE}}}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

Feature = Mapping[str, Any]
_KEY: Final = b"huggingface"
_LISTS: Final = ("Sequence", "List", "LargeList")


def features_of(metadata: Mapping[bytes, bytes] | None) -> Feature:
    """The feature of each column; {} if the schema has none that can be read."""
    try:
        found = json.loads((metadata or {})[_KEY])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def is_image(feature: object) -> bool:
    """Whether a feature is an image."""
    return isinstance(feature, Mapping) and feature.get("_type") == "Image"


def class_names(feature: object) -> tuple[str, ...] | None:
    """The names of a ClassLabel, or of a list of them; None for any other feature."""
    if isinstance(feature, list) and len(feature) == 1:
        return class_names(feature[0])
    if not isinstance(feature, Mapping):
        return None
    if feature.get("_type") in _LISTS:
        return class_names(feature.get("feature"))
    names = feature.get("names")
    if feature.get("_type") != "ClassLabel" or not isinstance(names, list) or not names:
        return None
    return tuple(map(str, names))


def inner(feature: object) -> Feature:
    """The features of the fields of a struct, or of a list of structs; {} for any other."""
    if isinstance(feature, list) and len(feature) == 1:
        return inner(feature[0])
    if not isinstance(feature, Mapping):
        return {}
    if feature.get("_type") in _LISTS:
        return inner(feature.get("feature"))
    return {} if "_type" in feature else feature
