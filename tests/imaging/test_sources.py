"""Sources of every kind: modes, depths, colour spaces, and files that are broken."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from s3img.errors import ImageError, ImageTooLarge, S3ImgError
from s3img.imaging import RenderTarget, probe, render, render_variants
from s3img.limits import Limits
from s3img.transform import Transform

ANY = Transform.parse("w-32,f-png")


def rendered(make: Any, source: bytes, text: str = "w-32,f-png", **settings: Any) -> Image.Image:
    return make.decode(render(source, Transform.parse(text), **settings).data)


def color_at(image: Image.Image, at: tuple[int, int] = (8, 6)) -> Any:
    return image.convert("RGBA").getpixel(at)


def close(found: Any, expected: Any, tolerance: int = 4) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(found, expected, strict=False))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_of_every_mode_keeps_its_tone(make: Any, mode: str) -> None:
    source = make.encode(Image.new("RGB", (64, 48), "white").convert(mode), "png")
    assert close(color_at(rendered(make, source)), (255, 255, 255, 255))


@pytest.mark.parametrize(("name", "mode"), [("png", "I;16"), ("tiff", "I;16"), ("tiff", "I;16B"), ("tiff", "I")])
def test_sixteen_bits_of_grey_become_the_upper_eight(make: Any, name: str, mode: str) -> None:
    image = Image.new("I", (64, 48), 0x8000).convert(mode) if mode != "I" else Image.new("I", (64, 48), 0x8000)
    assert close(color_at(rendered(make, make.encode(image, name))), (128, 128, 128, 255))


def sixteen_bit_rgb(color: tuple[int, int, int]) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    row = b"\0" + struct.pack(">3H", *(value * 257 for value in color)) * 64
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", 64, 48, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(row * 48)) + chunk(b"IEND", b"")


def test_sixteen_bits_of_colour_are_read(make: Any) -> None:
    assert close(color_at(rendered(make, sixteen_bit_rgb((200, 100, 50)))), (200, 100, 50))


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_colour_key_becomes_alpha(make: Any, mode: str) -> None:
    image = Image.new("L", (64, 48), 10)
    image.paste(200, (0, 0, 32, 48))
    key: Any = {"P": 10, "L": 10, "RGB": (10, 10, 10)}[mode]
    result = rendered(
        make, make.encode(image.convert(mode) if mode != "P" else _indexed(image), "png", transparency=key)
    )
    assert color_at(result, (28, 12))[3] == 0
    assert close(color_at(result, (4, 12)), (200, 200, 200, 255))


def _indexed(image: Image.Image) -> Image.Image:
    result = Image.new("P", image.size)
    result.putdata(list(image.tobytes()))
    result.putpalette([value for value in range(256) for _ in range(3)])
    return result


def test_a_palette_with_partial_transparency_keeps_it(make: Any) -> None:
    image = _indexed(Image.new("L", (64, 48), 7))
    result = rendered(make, make.encode(image, "png", transparency=bytes([255] * 7 + [128])))
    assert close(color_at(result), (7, 7, 7, 128), 1)


def test_transparent_px_leave_no_dark_fringe(make: Any) -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (16, 16, 48, 48))
    result = rendered(make, make.encode(image, "png"), "w-21,f-png").convert("RGBA")
    seen = [result.getpixel((x, y)) for x in range(21) for y in range(21)]
    assert all(min(pixel[:3]) >= 250 for pixel in seen if pixel[3] > 8)


def test_transparency_is_laid_on_white_for_jpeg(make: Any) -> None:
    result = rendered(make, make.encode(make.moving(1)[0], "png"), "f-jpg")
    assert close(color_at(result, (38, 28)), (255, 255, 255))


def test_transparency_is_laid_on_the_background_asked_for(make: Any) -> None:
    result = rendered(make, make.encode(make.moving(1)[0], "png"), "f-jpg,bg-0000FF")
    assert close(color_at(result, (38, 28)), (0, 0, 255))


@pytest.mark.parametrize("name", ["jpeg", "tiff"])
def test_cmyk_becomes_rgb(make: Any, name: str) -> None:
    source = make.encode(Image.new("RGB", (64, 48), (200, 60, 30)).convert("CMYK"), name)
    result = rendered(make, source, "w-32,f-jpg")
    assert result.mode == "RGB"
    assert close(color_at(result), (200, 60, 30), 6)


def test_an_embedded_profile_is_converted_to_srgb(make: Any) -> None:
    source = make.encode(Image.new("RGB", (64, 48), (200, 60, 30)), "jpeg", icc_profile=make.adobe_rgb, quality=95)
    wide = ImageCms.ImageCmsProfile(BytesIO(make.adobe_rgb))
    pixel = ImageCms.profileToProfile(make.decode(source), wide, ImageCms.createProfile("sRGB")).getpixel((8, 6))
    result = rendered(make, source)
    assert close(color_at(result), pixel, 3)
    assert not close(color_at(result), (200, 60, 30), 8)
    assert "icc_profile" not in result.info


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "avif"])
def test_color_profile_true_keeps_profile_and_pixels(make: Any, name: str) -> None:
    source = make.encode(Image.new("RGB", (64, 48), (200, 60, 30)), "png", icc_profile=make.adobe_rgb)
    result = rendered(make, source, f"w-32,f-{name},cp-true")
    assert result.info["icc_profile"] == make.adobe_rgb
    assert close(color_at(result), (200, 60, 30), 4)


@pytest.mark.parametrize("orientation", [1, 6])
def test_colours_are_converted_before_they_are_mixed(make: Any, orientation: int) -> None:
    stripes = Image.merge("RGB", [Image.effect_noise((256, 192), 90) for _ in "RGB"])
    exif = make.orientation_exif(orientation)
    source = make.encode(stripes, "png", icc_profile=make.adobe_rgb, exif=exif)
    wide, srgb = ImageCms.ImageCmsProfile(BytesIO(make.adobe_rgb)), ImageCms.createProfile("sRGB")
    size = (128, 96)
    expected = ImageCms.profileToProfile(stripes, wide, srgb).resize(size, Image.Resampling.LANCZOS)
    mixed_first = ImageCms.profileToProfile(stripes.resize(size, Image.Resampling.LANCZOS), wide, srgb)
    result = rendered(make, source, f"w-{size[orientation == 6]},f-png")
    result = result.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else result
    assert sum(ImageStat.Stat(ImageChops.difference(result, expected)).mean) < 4
    assert sum(ImageStat.Stat(ImageChops.difference(mixed_first, expected)).mean) > 12


@pytest.mark.parametrize("profile", [b"rubbish", b"\0" * 200])
def test_a_broken_profile_is_passed_over(make: Any, profile: bytes) -> None:
    source = make.encode(Image.new("RGB", (64, 48), (200, 60, 30)), "png", icc_profile=profile)
    assert close(color_at(rendered(make, source)), (200, 60, 30))


def test_a_profile_of_another_colour_space_is_passed_over(make: Any) -> None:
    source = make.encode(Image.new("L", (64, 48), 90), "png", icc_profile=make.adobe_rgb)
    assert close(color_at(rendered(make, source)), (90, 90, 90))


def test_a_multi_picture_file_is_a_still_jpeg(make: Any) -> None:
    source = make.animate([make.quadrants(), make.quadrants()], "mpo")
    assert (probe(source).format, probe(source).animated) == ("jpeg", False)
    assert make.corners(rendered(make, source)) == ("red", "lime", "white", "blue")


@pytest.mark.parametrize("quality", [60, 80, 94, 100])
def test_noise_of_any_quality_can_be_written_as_jpeg(make: Any, quality: int) -> None:
    noise = Image.effect_noise((256, 256), 200)
    source = make.encode(Image.merge("RGB", [noise, noise.rotate(90), noise.rotate(180)]), "png")
    assert rendered(make, source, f"f-jpg,q-{quality}").size == (256, 256)


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "webp", "avif", "tiff", "bmp"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_file_is_an_error(make: Any, name: str, share: float) -> None:
    noise = Image.effect_noise((128, 128), 90).convert("RGB")
    data = make.encode(noise, name)
    with pytest.raises(ImageError):
        render(data[: int(len(data) * share)], ANY)


@pytest.mark.parametrize("name", ["gif", "webp", "png", "avif"])
def test_a_truncated_animation_is_an_error(make: Any, name: str) -> None:
    frames = [Image.effect_noise((64, 64), 90).convert("RGB") for _ in range(4)]
    data = make.animate(frames, name, duration=50)
    with pytest.raises(ImageError):
        render(data[: int(len(data) * 0.7)], Transform.parse("w-32,f-webp"))


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "webp", "avif", "tiff"])
def test_flipped_bytes_raise_nothing_else(make: Any, name: str) -> None:
    data = make.encode(Image.effect_noise((48, 48), 90).convert("RGB"), name)
    for position in range(0, len(data), max(1, len(data) // 60)):
        broken = data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :]
        try:
            render(broken, ANY, limits=Limits(input_pixels=1_000_000))
        except S3ImgError:
            continue


def test_a_jpeg_of_ninety_megapixels_raises_no_warning(make: Any) -> None:
    source = make.encode(Image.new("L", (9600, 9600), 77), "jpeg", quality=20)
    (outcome,) = render_variants(source, [RenderTarget(96, 96, "png")])
    assert close(color_at(make.decode(outcome.data)), (77, 77, 77))  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["w-20000,h-20000,c-force", "w-17000,h-10", "w-8000,h-8000,c-force"])
def test_a_result_above_a_limit_is_refused(make: Any, text: str) -> None:
    with pytest.raises(ImageTooLarge):
        render(make.encode(make.quadrants(), "png"), Transform.parse(text))


def test_a_render_out_of_time_is_refused(make: Any) -> None:
    with pytest.raises(ImageTooLarge) as caught:
        render(make.encode(make.quadrants(), "png"), ANY, limits=Limits(seconds=0))
    assert caught.value.limit == "seconds"


def test_too_many_steps_are_refused(make: Any) -> None:
    with pytest.raises(ImageTooLarge) as caught:
        render(make.encode(make.quadrants(), "png"), Transform.parse("w-5:w-6:w-7"), limits=Limits(steps=2))
    assert caught.value.limit == "steps"
