"""The names of the sources of labels, as `--from` takes them."""

from __future__ import annotations

from typing import Final

NAMES: Final = (
    *("voc", "coco", "table", "folders", "hf", "google"),
    *("roboflow", "yolo", "labelstudio", "cvat", "webdataset"),
)
"""In the order of help; `registry.SOURCES` has one of each."""

WITH_FILE: Final = ("table", "hf", "google", "roboflow", "yolo", "labelstudio", "cvat")
"""Sources whose file of labels may be given (`--labels`): it may be outside of the folder."""

WITH_COLUMN: Final = ("hf", "labelstudio", "webdataset")
"""Sources whose column or field of labels may be given (`--label-column`)."""

WITH_SEPARATOR: Final = ("table", "hf")
"""Sources whose cells may hold several names (`--label-separator`)."""
