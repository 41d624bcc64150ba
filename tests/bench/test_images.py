"""The images that are measured on are what they are said to be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from bench import images
from bench.contests import Options

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="module")
def drawn_ones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Everything is drawn, wherever the tests run, and few of each kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOCSCORE_DATA", str(tmp_path_factory.mktemp("nothing")))
        patch.setattr(images, "_DRAWN_VOC", 3)
        patch.setattr(images, "_DRAWN_LARGE", 1)
        # a sixteenth of the pixels: bytes per pixel do not depend on the size
        patch.setattr(images, "_LARGE", tuple(side // 4 for side in images._LARGE))
        images._different.cache_clear()
        yield
    images._different.cache_clear()


@pytest.mark.parametrize(
    ("kind", "form", "size"),
    [
        ("voc", "JPEG", (500, 375)),
        ("thumbnails", "JPEG", (120, 90)),
        ("png", "PNG", (500, 375)),
        ("large", "JPEG", (1000, 750)),  # drawn at a quarter of its sides, see above
        ("resized", "JPEG", (256, 256)),
        ("medium", "JPEG", (2048, 1536)),
    ],
)
def test_each_kind(kind: str, form: str, size: tuple[int, int], tmp_path: Path) -> None:
    """Format, pixels, chroma at half resolution, and as many files as asked for."""
    made = images.make_images(tmp_path / "made", number=4, kind=kind)
    assert len(made.refs) == 4
    with Image.open(made.refs[0].file) as image:
        assert (image.format, image.size) == (form, size)
        if form == "JPEG":
            assert [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]  # 4:2:0


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        ("voc", 70_000, 105_000),
        ("large", 2_000_000 / 16, 4_500_000 / 16),
    ],
)
def test_drawn_ones_weigh_what_real_ones_do(
    kind: str, least: float, most: float, tmp_path: Path
) -> None:
    """VOC's mean is 88 KB; a 12-megapixel photograph has about 3 MB."""
    made = images.make_images(tmp_path / kind, number=3, kind=kind)
    weights = [Path(ref.file).stat().st_size for ref in made.refs]
    assert least < sum(weights) / 3 < most


def test_a_folder_is_made_once_and_named(tmp_path: Path) -> None:
    """Contests of one call share the images, and their outcomes say which these are."""
    options = Options(scratch=tmp_path, kind="png")
    some = options.image_set(2)
    assert options.image_set(2) is some
    asked = Options(scratch=tmp_path / "asked", kind="png", images=1)
    assert len(asked.image_set(2).refs) == 1
    assert some.key == {"kind": "png"}
    assert "3 drawn 500x375 images (PNG)" in str(some.facts["pictures"])


def test_images_beyond_many_are_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's many images fit on the disk; fewer are files of their own, as `tar` counts them."""
    monkeypatch.setattr(images, "_SAME_FILE", 2)
    made = images.make_images(tmp_path / "made", number=5, kind="thumbnails")
    assert [Path(ref.file).stat().st_nlink for ref in made.refs] == [3, 2, 3, 2, 3]
