"""Animations: frames, transparency, timing and loops through resize and change of format."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from s3img.errors import ImageTooLarge
from s3img.imaging import RenderTarget, probe, render, render_variants
from s3img.limits import Limits
from s3img.transform import Transform

DURATIONS = [50, 70, 200, 90]


def frames(data: bytes, make: Any) -> list[tuple[int, Image.Image]]:
    image = make.decode(data)
    found = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        frame = image.convert("RGBA")
        found.append((round(image.info.get("duration") or 0), frame))
    return found


@pytest.mark.parametrize("target", ["gif", "webp", "avif"])
@pytest.mark.parametrize("name", ["gif", "webp", "avif", "png"])
def test_animation_keeps_frames_timing_and_transparency(make: Any, name: str, target: str) -> None:
    source = make.animate(
        make.moving(4), name, duration=DURATIONS, loop=0, **({"disposal": 2} if name == "gif" else {})
    )
    result = render(source, Transform.parse(f"w-20,f-{target}"))
    shown = frames(result.data, make)
    assert [duration for duration, _ in shown] == DURATIONS
    for number, (_, frame) in enumerate(shown):
        assert frame.size == (20, 15)
        assert frame.getpixel((4 * number + 2, 6))[0] > 230
        assert frame.getpixel((4 * number + 2, 6))[3] > 230
        assert frame.getpixel((19 if number < 3 else 0, 14))[3] < 30


@pytest.mark.parametrize(("gif", "webp"), [(None, 1), (0, 0), (1, 2), (4, 5)])
def test_animation_keeps_how_often_it_plays(make: Any, gif: int | None, webp: int) -> None:
    loop = {} if gif is None else {"loop": gif}
    source = make.animate(make.moving(3), "gif", duration=50, **loop)
    moved = render(source, Transform.parse("w-20,f-webp")).data
    assert make.decode(moved).info["loop"] == webp
    back = make.decode(render(moved, Transform.parse("w-10,f-gif")).data)
    assert back.info.get("loop") == gif


def test_avif_plays_as_often_as_its_source(make: Any) -> None:
    once = render(make.animate(make.moving(3), "gif", duration=50), Transform.parse("w-20,f-avif")).data
    ever = render(make.animate(make.moving(3), "gif", duration=50, loop=0), Transform.parse("w-20,f-avif")).data
    endless = b"\xff" * 8
    assert (endless in once[: once.index(b"mdat")], endless in ever[: ever.index(b"mdat")]) == (False, True)
    assert probe(once).frames == 3


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_gif_frames_are_composed_as_viewers_show_them(make: Any, disposal: int) -> None:
    pictures = [Image.new("RGB", (40, 30), (0, 0, 200)) for _ in range(3)]
    for number, frame in enumerate(pictures):
        frame.paste((255, 0, 0), (number * 10, 0, number * 10 + 10, 30))
    source = make.animate(pictures, "gif", duration=50, disposal=disposal, loop=0)
    expected = [frame.getpixel((25, 15))[:3] for _, frame in frames(source, make)]
    found = [
        frame.getpixel((25, 15))[:3] for _, frame in frames(render(source, Transform.parse("fl-v,f-webp")).data, make)
    ]
    assert all(abs(a - b) < 30 for x, y in zip(expected, found, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("target", ["jpeg", "png"])
def test_a_still_format_shows_the_first_frame(make: Any, target: str) -> None:
    source = make.animate(make.moving(4), "gif", duration=50, disposal=2)
    result = render(source, Transform.parse(f"w-20,f-{target}"))
    assert probe(result.data).frames == 1
    assert make.decode(result.data).convert("RGB").getpixel((2, 6))[0] > 200


def test_variants_mix_moving_and_still_targets(make: Any) -> None:
    source = make.animate(make.moving(4), "gif", duration=50, disposal=2)
    targets = [
        RenderTarget(20, 15, "webp"),
        RenderTarget(10, 8, "gif"),
        RenderTarget(20, 15, "jpeg"),
        RenderTarget(40, 30, "webp"),
    ]
    outcomes = render_variants(source, targets)
    assert [(probe(r.data).frames, probe(r.data).width) for r in outcomes] == [(4, 20), (4, 10), (1, 20), (4, 40)]  # type: ignore[union-attr]


def test_animation_effects_apply_to_every_frame(make: Any) -> None:
    source = make.animate(make.moving(3), "webp", duration=50, lossless=True)
    shown = frames(render(source, Transform.parse("e-grayscale,f-webp,lo-true")).data, make)
    assert all(len(set(frame.getpixel((8 * n + 5, 10))[:3])) == 1 for n, (_, frame) in enumerate(shown))


def test_an_apng_stays_one_in_its_own_format(make: Any) -> None:
    source = make.animate(make.moving(3), "png", duration=50, loop=3)
    result = make.decode(render(source, Transform.parse("w-20")).data)
    assert (result.format, result.n_frames, result.info["loop"]) == ("PNG", 3, 3)


@pytest.mark.parametrize("text", ["w-4000,f-webp", "w-4000,f-gif"])
def test_an_animation_that_grows_above_the_limit_is_refused(make: Any, text: str) -> None:
    source = make.animate(make.moving(4), "gif", duration=50)
    with pytest.raises(ImageTooLarge) as caught:
        render(source, Transform.parse(text), limits=Limits(frame_pixels=4 * 4000 * 3000 - 1))
    assert caught.value.limit == "frame_pixels"
