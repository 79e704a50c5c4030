"""Run imgproxy's processing options on pixels: decode, trim, crop and scale at once, filters, canvas, watermark."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from s3img.errors import ImageTooLarge, UnsupportedImage
from s3img.imaging import effects, filters
from s3img.imaging.animation import keeps_animation, load_animation
from s3img.imaging.attention import attention_point, thumbnail_size
from s3img.imaging.color import has_alpha, to_profile
from s3img.imaging.decode import OVERSAMPLING, Decoded, RenderDeadline, decode, page_count, pillow_errors
from s3img.imaging.encode import DEFAULT_QUALITY, Encoding, Subsampling, check_encoder, copyright_exif, kept_exif
from s3img.imaging.image_info import check_digest, upright
from s3img.imaging.pipeline import Drawn, choose_formats
from s3img.imaging.probing import opened, probe, too_large
from s3img.imaging.probing.svg import with_style
from s3img.imaging.resize import resize
from s3img.imaging.watermarks import lay_watermark, watermark_pictures
from s3img.imgproxy.box_geometry import area_box, plan_boxes
from s3img.limits import Limits
from s3img.transform.colors import Color
from s3img.transform.geometry import check_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

    from s3img.imaging.animation import Animation
    from s3img.imaging.image_info import ImageInfo
    from s3img.imgproxy.box_geometry import BoxPlan, FocusPoint, PixelBox, Size
    from s3img.imgproxy.processing_options import Pipeline, ProcessingOptions

_EVERYWHERE: Final = frozenset({"jpeg", "png", "gif"})
_WITHOUT_PROFILE: Final = frozenset({"gif", "bmp", "ico"})
_PREFERRED: Final = ("jpeg", "png", "gif")
_MORE: Final = OVERSAMPLING["request"]
_LARGEST_ICON: Final = 256
_CLEAR: Final = Color(0, 0, 0, 0)


def draw_processed(
    data: bytes,
    options: ProcessingOptions,
    *,
    choice: FormatChoice | None = None,
    limits: Limits | None = None,
    quality: Mapping[str, int] | None = None,
    subsampling: Subsampling = "auto",
    watermarks: Mapping[str, bytes] | None = None,
    profile: bytes = b"",
) -> Drawn:
    """Do all that ``options`` say but encode; ``choice`` tells which formats may be written.

    ``quality`` and ``subsampling`` replace encoder defaults. ``watermarks`` are the pictures that are laid over the
    result, by the URLs that options name ("" for the service's own); ``profile`` is the ICC profile that the result
    gets, where its format has one. A source whose format is skipped, or that is never
    rendered (SVG, ICO) and has no format asked for, is the result itself. Raises what ``imaging.render`` raises.
    """
    limits = _narrowed(limits or Limits(), options)
    if len(options.pipelines) > limits.steps:
        raise too_large("steps", f"The address has {len(options.pipelines)} pipelines", limits.steps)
    info = probe(data, limits=limits)
    frame = options.max_animation_frame_resolution
    if frame and info.animated and info.width * info.height > frame:
        what = f"A frame of the animation has {info.width} x {info.height} px; {frame:,} is the limit (mafr)."
        fix = "Make it smaller, or raise imgproxy.max_animation_frame_resolution."
        raise ImageTooLarge(what, limit="max_animation_frame_resolution", fix=fix)
    check_digest(data, options.hashsum)
    is_kept = info.format in options.skip_processing and options.format in {"", info.format}
    if is_kept or (not info.renderable and options.format in {"", info.format}):
        is_styled = info.format == "svg" and options.style
        return Drawn.whole(with_style(data, options.style) if is_styled else data, info)
    if not info.renderable:
        fix = "Leave out the format, and it is passed on as it is."
        raise UnsupportedImage(f"{info.format.upper()} is published as it is and never rendered.", fix=fix)
    marks = watermark_pictures(options, watermarks or {}, limits)
    return ProcessingRequest(
        info, options, choice or FormatChoice(), limits, quality or {}, subsampling, marks, profile
    ).run(data)


def _narrowed(limits: Limits, options: ProcessingOptions) -> Limits:
    """Return the limits of one request, which can only be lower than those of the settings."""
    asked = {
        "input_pixels": options.max_src_resolution,
        "jpeg_pixels": options.max_src_resolution,
        "input_bytes": options.max_src_file_size,
    }
    changed = {name: min(getattr(limits, name), value) for name, value in asked.items() if value}
    return msgspec.structs.replace(limits, **changed) if changed else limits


@dataclass(frozen=True, slots=True)
class FormatChoice:
    """Which formats a result may have.

    ``accept`` are the modern media types that are offered and that the client takes; of ``enforced`` formats the first
    one is written whatever was asked for; ``preferred`` are those for what has no format of its own.
    """

    accept: frozenset[str] = frozenset()
    enforced: tuple[str, ...] = ()
    preferred: tuple[str, ...] = _PREFERRED

    def formats(self, wanted: str, info: ImageInfo, *, alpha: bool) -> tuple[str, ...]:
        """Return the formats of which the smallest result is taken; ``wanted`` is what was asked for, or ""."""
        # A moving picture stays one.
        enforced = [name for name in self.enforced if not info.animated or keeps_animation(info, name)]
        if enforced:
            return (enforced[0],)
        if wanted:
            return (wanted,)
        chosen = choose_formats("auto", info, self.accept, alpha=alpha)
        return chosen if self.preferred == _PREFERRED else (*chosen[:-1], self._plain(info, alpha=alpha))

    def _plain(self, info: ImageInfo, *, alpha: bool) -> str:
        """Return the source's own format where that is preferred, else the first preferred one that fits."""
        if info.format in self.preferred:
            return info.format
        fitting = [
            name
            for name in self.preferred
            if (not info.animated or keeps_animation(info, name)) and not (alpha and name in {"jpeg", "bmp"})
        ]
        return (*fitting, self.preferred[0])[0]


@dataclass(frozen=True, slots=True)
class ProcessingRequest:
    """What one rendering was asked for: a source's header, the options, and how to write the result."""

    info: ImageInfo
    options: ProcessingOptions
    choice: FormatChoice
    limits: Limits
    quality: Mapping[str, int]
    subsampling: Subsampling = "auto"
    watermarks: tuple[Image.Image | None, ...] = ()
    profile: bytes = b""

    def run(self, data: bytes) -> Drawn:
        """Refuse what is above a limit, then decode and run the pipelines."""
        info, options = self.info, self.options
        deadline = RenderDeadline(self.limits.seconds)
        run = PipelineRun(options, self.stored_size, self.limits, deadline, watermarks=self.watermarks)
        first = run.plan(0, self.stored_size, self.orientation)
        names = self.formats(alpha=info.alpha)
        frames = 1 if options.disable_animation else min(info.frames, options.max_animation_frames or info.frames)
        picture: Image.Image | Animation
        with opened(data) as fp:
            if frames > 1 and keeps_animation(info, names[0]):
                encodings = tuple(map(self.encoding, names))
                moving = msgspec.structs.replace(info, frames=frames)
                untrimmed = replace(run, trims=False)  # each frame would have edges of its own
                picture = load_animation(fp, moving, untrimmed.run, limits=self.limits, deadline=run.deadline)
            else:
                decoded = self.decoded(fp, first, run.deadline)
                run.deadline.check()
                with pillow_errors(f"The {info.format.upper()} can't be transformed"):
                    picture = run.run(decoded)
                run.deadline.check()
                names = self.formats(alpha=has_alpha(picture))
                if names == ("ico",):
                    picture = smaller(picture, _LARGEST_ICON)
                icc = (
                    (decoded.profile or b"") if run.keeps_profile(decoded) and picture.mode in {"RGB", "RGBA"} else b""
                )
                if self.profile and not _WITHOUT_PROFILE & {*names}:
                    picture, icc = to_profile(picture, self.profile, icc), self.profile
                encodings = tuple(self.encoding(name, icc=icc, exif=self.exif(decoded)) for name in names)
        if self.is_source(names, first):
            return Drawn(picture, encodings, data, info.format, max_bytes=options.max_bytes, limits=self.limits)
        tuned = options.auto_quality if options.auto_quality.fits(picture.size) else None
        return Drawn(picture, encodings, max_bytes=options.max_bytes, auto_quality=tuned)

    def decoded(self, fp: BinaryIO, first: BoxPlan, deadline: RenderDeadline) -> Decoded:
        """Decode the page asked for, or several of them: one below the other, at the left."""
        info, options = self.info, self.options
        decode_page = partial(decode, fp, info, limits=self.limits, any_size=True)
        if options.pages == 1:
            return decode_page(self.decoded_size(first), page=options.page)
        pages = []
        for number in range(options.page, min(options.page + options.pages, page_count(fp, info))):
            deadline.check()  # to come to a frame, all before it are decoded again
            page = decode_page((info.width, info.height), page=number)
            box = (0.0, 0.0, float(page.source[0]), float(page.source[1]))
            pages.append(page.picture(box, page.source))
            size = max(one.width for one in pages), sum(one.height for one in pages)
            # A file of a thousand small pages may be stacked to a picture that no source may be.
            if size[0] * size[1] > self.limits.input_pixels:
                what = f"The pages together have {size[0]} x {size[1]} px"
                raise too_large("input_pixels", what, self.limits.input_pixels)
        if not pages:
            return decode_page((info.width, info.height), page=options.page)  # which tells that there is none
        return pixels(effects.stacked(pages))

    @property
    def stored_size(self) -> Size:
        """Return the size of the px as they are decoded: Pillow turns a TIFF upright by itself."""
        return (self.info.width, self.info.height) if self.info.format == "tiff" else self.info.stored_size

    @property
    def orientation(self) -> int:
        """Return the EXIF orientation of the px as they are decoded."""
        return 1 if self.info.format == "tiff" else self.info.orientation

    def decoded_size(self, first: BoxPlan) -> Size:
        """Return the px, upright, at which the whole source has to be decoded for the first pipeline."""
        if self.options.pipelines[0].trim.threshold is not None:
            return self.info.width, self.info.height
        factors = (scaled / side for scaled, side in zip(first.scaled, first.crop[2:], strict=True))
        sides = (math.ceil(side * factor * _MORE) for side, factor in zip(first.source, factors, strict=True))
        across, down = sides
        return upright(upright((max(1, across), max(1, down)), first.orientation), self.orientation)

    def formats(self, *, alpha: bool) -> tuple[str, ...]:
        """Return the formats of which the smallest result is taken."""
        return self.choice.formats(self.options.format, self.info, alpha=alpha)

    def encoding(self, name: str, *, icc: bytes = b"", exif: bytes = b"") -> Encoding:
        """Return how to write the format ``name``; raise ``UnsupportedImage`` for one that can't be written."""
        check_encoder(name)
        options = self.options
        full_chroma = {"jpeg": options.jpeg_options.no_subsample, "avif": options.avif_options.subsample == "off"}
        half_chroma = name == "avif" and options.avif_options.subsample == "on"
        return Encoding(
            format=name,
            lossless=name == "webp" and options.webp_options.compression != "lossy",
            progressive=options.jpeg_options.progressive,
            subsampling="4:4:4" if full_chroma.get(name) else "4:2:0" if half_chroma else self.subsampling,
            colors=options.png_options.colors if options.png_options.quantize else 0,
            quality=self.options.quality_of(name) or self.quality.get(name) or DEFAULT_QUALITY.get(name, 0),
            profile="request",
            icc=icc,
            exif=exif,
            dpi=self.options.dpi,
            lossless_source=self.info.is_lossless,
        )

    def exif(self, decoded: Decoded) -> bytes:
        """Return the EXIF data that the result keeps: all but the position, the copyright alone, or none."""
        if not self.options.strip_metadata:
            return kept_exif(decoded.exif)
        return copyright_exif(decoded.exif) if self.options.keep_copyright else b""

    def is_source(self, names: tuple[str, ...], first: BoxPlan) -> bool:
        """Tell whether the source without its metadata is a result, too: same pixels, a format that may be sent."""
        info, options = self.info, self.options
        sendable = info.format in names or (len(names) > 1 and info.format in _EVERYWHERE)
        keeps = options.strip_metadata and options.strip_color_profile
        keeps = keeps and not (options.max_bytes or options.dpi or options.page or options.pages > 1)
        keeps = keeps and not (options.has_encoder_options or self.profile)
        return sendable and keeps and not first.changes and all(not one.paints for one in options.pipelines)


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """The pipelines for one source, whose px are ``size`` as stored.

    What the first frame of an animation draws attention to holds for all of its frames.
    """

    options: ProcessingOptions
    size: Size
    limits: Limits
    deadline: RenderDeadline
    trims: bool = True
    watermarks: tuple[Image.Image | None, ...] = ()
    focuses: dict[tuple[int, str], FocusPoint] = field(default_factory=dict)

    def plan(
        self,
        number: int,
        stored: Size,
        orientation: int,
        *,
        crop_focus: FocusPoint | None = None,
        focus: FocusPoint | None = None,
    ) -> BoxPlan:
        """Return the geometry of one pipeline; raise ``ImageTooLarge`` for a result above the limits."""
        planned = plan_boxes(
            stored,
            orientation,
            self.options.pipelines[number],
            max_dimension=self.options.max_result_dimension,
            crop_focus=crop_focus,
            focus=focus,
        )
        check_size(planned.canvas, self.limits)
        check_size(planned.size, self.limits)
        return planned

    def run(self, decoded: Decoded) -> Image.Image:
        """Return the finished picture: L, LA, RGB or RGBA."""
        keep = self.keeps_profile(decoded)
        picture = decoded.image
        for number, pipeline in enumerate(self.options.pipelines):
            self.deadline.check()
            size = upright(decoded.source, decoded.orientation)
            if self.trims and pipeline.trim.threshold is not None:
                whole = replace(decoded, orientation=1, source=size)
                picture = whole.picture((0.0, 0.0, float(size[0]), float(size[1])), size, keep_profile=keep)
                left, top, right, bottom = effects.trimmed(picture, pipeline.trim)
                decoded = pixels(picture.crop((left, top, right, bottom)), decoded.orientation)
                size = decoded.image.size
            planned = self.focused(number, decoded, size)
            turned = replace(
                decoded,
                orientation=planned.orientation,
                source=planned.source,
                resampling=pipeline.resizing_algorithm,
            )
            picture = finish(turned.picture(planned.box, planned.size, keep_profile=keep), pipeline, planned)
            if mark := self.watermarks[number]:
                picture = lay_watermark(picture, mark, pipeline.watermark, planned.dpr, self.limits)
            decoded = pixels(picture)
        return picture

    def focused(self, number: int, decoded: Decoded, stored: Size) -> BoxPlan:
        """Return the geometry of a pipeline, after a look at what draws attention where its gravity is ``sm``."""
        pipeline = self.options.pipelines[number]
        planned = self.plan(number, stored, decoded.orientation)
        crop_gravity = pipeline.crop.gravity or pipeline.gravity
        places: dict[str, FocusPoint] = {}
        if crop_gravity.type == "sm" and planned.crop != (0, 0, *planned.source):
            upside = replace(decoded, orientation=1, source=stored)
            window = upright(planned.crop[2:], planned.orientation)
            places["crop_focus"] = self.focus((number, "crop"), upside, (0, 0, *stored), window)
            planned = self.plan(number, stored, decoded.orientation, **places)
        if pipeline.gravity.type == "sm" and planned.size != planned.scaled:
            turned = replace(decoded, orientation=planned.orientation, source=planned.source)
            x, y = planned.crop[2] / planned.scaled[0], planned.crop[3] / planned.scaled[1]
            window = round(planned.size[0] * x), round(planned.size[1] * y)
            places["focus"] = self.focus((number, "result"), turned, planned.crop, window)
            planned = self.plan(number, stored, decoded.orientation, **places)
        return planned

    def focus(self, name: tuple[int, str], decoded: Decoded, box: PixelBox, window: Size) -> FocusPoint:
        """Return what draws attention in a part of a picture, as shares of that part."""
        if name not in self.focuses:
            left, top, width, height = box
            small = decoded.picture((left, top, left + width, top + height), thumbnail_size((width, height)))
            x, y = attention_point(small, (window[0] / width, window[1] / height))
            self.focuses[name] = float(x), float(y)
        return self.focuses[name]

    def keeps_profile(self, decoded: Decoded) -> bool:
        """Tell whether the result is in the source's own profile: RGB only, other spaces always become sRGB."""
        wanted = not self.options.strip_color_profile
        return wanted and bool(decoded.profile) and decoded.image.mode in {"RGB", "RGBA"}


def pixels(picture: Image.Image, orientation: int = 1) -> Decoded:
    """Return a picture in memory as one whose px are stored that way."""
    source = upright(picture.size, orientation)
    return Decoded(picture, source, (float(picture.width), float(picture.height)), orientation, None)


def finish(picture: Image.Image, pipeline: Pipeline, planned: BoxPlan) -> Image.Image:
    """Do everything of a pipeline that follows its scaling: filters, tones, canvas, background, colours laid over."""
    if pipeline.blur:
        picture = effects.blur(picture, pipeline.blur)
    if pipeline.sharpen:
        picture = filters.sharpen_by_sigma(picture, pipeline.sharpen)
    if masks_sharply(pipeline, planned):
        picture = filters.mask_sharply(picture, pipeline.unsharp_masking)
    if pipeline.pixelate > 1:
        picture = effects.pixelate(picture, pipeline.pixelate)
    picture = softened(toned(picture, pipeline), pipeline, planned)
    color = Color(*pipeline.background, round(100 * pipeline.background_alpha)) if pipeline.background else None
    if planned.canvas != planned.size:
        # Transparent without a colour; formats that know no transparency get white.
        picture = effects.pad(picture, planned.canvas, planned.offset, color or _CLEAR)
    if color:
        picture = effects.underlay(picture, color)
        picture = picture.convert("RGB") if color.alpha == 100 else picture
    if pipeline.colorize.opacity:
        tint = pipeline.colorize
        picture = filters.lay_color(picture, tint.opacity, tint.color, keep_alpha=tint.keep_alpha)
    if pipeline.gradient.opacity:
        ramp = pipeline.gradient
        picture = filters.lay_ramp(picture, ramp.opacity, ramp.color, ramp.angle, ramp.start, ramp.stop)
    return picture


def masks_sharply(pipeline: Pipeline, planned: BoxPlan) -> bool:
    """Tell whether unsharp masking is due; ``auto``: for pictures that get smaller and are not sharpened."""
    mode = pipeline.unsharp_masking.mode
    shrinks = planned.scaled[0] < planned.crop[2] or planned.scaled[1] < planned.crop[3]
    return mode == "always" or (mode == "auto" and shrinks and not pipeline.sharpen)


def softened(picture: Image.Image, pipeline: Pipeline, planned: BoxPlan) -> Image.Image:
    """Blur what is to be blurred of a picture."""
    if pipeline.blur_areas.sigma:
        boxes = [area_box(area, pipeline, planned) for area in pipeline.blur_areas.areas]
        picture = filters.blur_boxes(picture, boxes, pipeline.blur_areas.sigma)
    if pipeline.progressive_blur.sigma:
        picture = filters.blur_along(picture, pipeline.progressive_blur)
    return picture


def toned(picture: Image.Image, pipeline: Pipeline) -> Image.Image:
    """Change the colours of a picture as brightness, contrast, saturation and its tones say, in this order."""
    if pipeline.brightness:
        picture = filters.brighten(picture, pipeline.brightness)
    if pipeline.contrast != 1:
        picture = filters.scale_contrast(picture, pipeline.contrast)
    if pipeline.saturation != 1:
        picture = filters.saturate(picture, pipeline.saturation)
    if pipeline.monochrome.opacity:
        picture = filters.monochrome(picture, pipeline.monochrome.opacity, pipeline.monochrome.color)
    if pipeline.duotone.intensity:
        two = pipeline.duotone
        picture = filters.duotone(picture, two.intensity, two.dark, two.light)
    return picture


def smaller(picture: Image.Image, side: int) -> Image.Image:
    """Return a picture whose longer side is at most ``side`` px."""
    factor = side / max(picture.size)
    if factor >= 1:
        return picture
    return resize(picture, (max(1, round(picture.width * factor)), max(1, round(picture.height * factor))))
