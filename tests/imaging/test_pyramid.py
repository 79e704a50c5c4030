"""One source to many targets."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from s3img.errors import ImageError, ImageTooLarge, UnsupportedImage
from s3img.imaging import Rendered, RenderedFile, RenderTarget, probe, render_job, render_variants
from s3img.limits import Limits

FORMATS = ["jpeg", "png", "webp", "avif", "gif"]


def results(source: bytes, *targets: RenderTarget) -> list[Rendered]:
    outcomes = render_variants(source, targets)
    assert all(isinstance(outcome, Rendered) for outcome in outcomes)
    return [outcome for outcome in outcomes if isinstance(outcome, Rendered)]


def test_variants_answer_in_the_order_of_targets(make: Any) -> None:
    targets = [
        RenderTarget(16, 12, "png"),
        RenderTarget(32, 24, "webp"),
        RenderTarget(8, 6, "jpeg"),
        RenderTarget(32, 24, "avif"),
    ]
    found = results(make.encode(make.quadrants(), "jpeg"), *targets)
    assert [(r.media_type.removeprefix("image/"), r.width, r.height) for r in found] == [
        (target.format, target.width, target.height) for target in targets
    ]
    assert [(probe(r.data).width, probe(r.data).format) for r in found] == [(t.width, t.format) for t in targets]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_variants_turn_the_picture_upright_once(make: Any, name: str, orientation: int) -> None:
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    picture = make.quadrants(256, 192)
    stored = picture if turned is None else picture.transpose(Image.Transpose(turned))
    source = make.encode(stored, "jpeg", exif=make.orientation_exif(orientation), quality=95)
    (rendered,) = results(source, RenderTarget(64, 48, name, 90))
    assert make.corners(make.decode(rendered.data)) == ("red", "lime", "white", "blue")


@pytest.mark.parametrize("name", ["png", "webp", "avif", "tiff"])
def test_variants_honour_orientation_in_every_format(make: Any, name: str) -> None:
    stored = make.quadrants(64, 48).transpose(Image.Transpose.ROTATE_90)
    (rendered,) = results(make.encode(stored, name, exif=make.orientation_exif(6)), RenderTarget(64, 48, "png"))
    assert make.corners(make.decode(rendered.data)) == ("red", "lime", "white", "blue")
    assert rendered.data.find(b"eXIf") == -1


def test_variants_keep_a_level_close_to_a_direct_resize(make: Any) -> None:
    picture = Image.radial_gradient("L").resize((1024, 768)).convert("RGB")
    *_, small = results(make.encode(picture, "png"), *(RenderTarget(w, w * 3 // 4, "png") for w in (960, 640, 320, 64)))
    difference = ImageChops.difference(
        make.decode(small.data).convert("RGB"), picture.resize((64, 48), Image.Resampling.LANCZOS)
    )
    assert max(ImageStat.Stat(difference).mean) < 1


def test_variants_report_an_impossible_target_in_its_place(make: Any) -> None:
    targets = [
        RenderTarget(8, 6, "png"),
        RenderTarget(0, 6, "png"),
        RenderTarget(8, 6, "heic"),
        RenderTarget(20_000, 20_000, "png"),
    ]
    outcomes = render_variants(make.encode(make.quadrants(), "png"), targets)
    assert [type(outcome) for outcome in outcomes] == [Rendered, ImageError, UnsupportedImage, ImageTooLarge]


def test_render_variants_raises_for_a_broken_source(make: Any) -> None:
    with pytest.raises(ImageError):
        render_variants(make.encode(make.quadrants(), "png")[:-40], [RenderTarget(8, 6, "png")])


def test_render_variants_refuses_svg() -> None:
    with pytest.raises(UnsupportedImage):
        render_variants(b"<svg width='4' height='4'/>", [RenderTarget(2, 2, "png")])


def test_job_writes_files_and_reports_them(make: Any, tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(make.encode(make.quadrants(), "jpeg"))
    out = tmp_path / "out"
    out.mkdir()
    files = render_job(
        str(source),
        [RenderTarget(8, 6, "jpeg"), RenderTarget(0, 1, "png"), RenderTarget(16, 12, "webp")],
        str(out),
        Limits(),
    )
    assert [Path(file.path).name for file in files] == ["0.jpg", "", "2.webp"]
    assert [bool(file.error) for file in files] == [False, True, False]
    assert sorted(path.name for path in out.iterdir()) == ["0.jpg", "2.webp"]
    assert files[2].bytes == (out / "2.webp").stat().st_size


def test_job_returns_errors_as_values(tmp_path: Path) -> None:
    files = render_job(str(tmp_path / "gone.jpg"), [RenderTarget(8, 6, "jpeg")] * 2, str(tmp_path), Limits())
    assert [file.index for file in files] == [0, 1]
    assert all("No such file" in file.error for file in files)


def test_job_values_can_be_pickled() -> None:
    values = (RenderTarget(1, 2, "png"), RenderedFile(0, error="x"), Limits())
    assert pickle.loads(pickle.dumps(values)) == values


def test_job_runs_in_another_process(make: Any, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(make.encode(make.quadrants(), "png"))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        files = pool.submit(render_job, str(source), [RenderTarget(8, 6, "jpeg")], str(tmp_path), Limits()).result(60)
    assert probe(Path(files[0].path)).width == 8


@pytest.mark.slow
def test_variants_give_the_same_bytes_from_many_threads(make: Any) -> None:
    source = make.encode(Image.radial_gradient("L").convert("RGB"), "jpeg")
    targets = [RenderTarget(side, side, name) for side in (128, 64) for name in FORMATS]
    expected = results(source, *targets)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: results(source, *targets), range(12)):
            assert found == expected
