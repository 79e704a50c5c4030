"""Write the tables of ``configuration.md`` from the settings themselves: ``python docs/generate_settings.py``.

Names, types and defaults come from the code, meanings from here; a setting without a meaning is an error.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import msgspec

from s3img.config import Config
from s3img.config.service import ServiceSettings
from s3img.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).with_name("configuration.md")

SETTINGS = {
    "The bucket": {
        "bucket": "`s3://NAME/PREFIX` or `file:///FOLDER`. Empty: images stay inside the site.",
        "public_url": "Public address of what `bucket` names, prefix included. By default the bucket's own address.",
        "provider": "[A service by name](providers.md), such as `r2`. It fills in `endpoint_url` and `region`.",
        "account": "The account, where it is part of the provider's address (R2).",
        "endpoint_url": "Address of an S3-compatible service, with `https://`. Empty: AWS.",
        "region": "Region of the bucket. By default the service's, or that of the environment.",
        "addressing_style": "`virtual`: the bucket is part of the host. `path`: of the path. `auto`: as the service needs it.",
        "aws_profile": "A profile of the AWS configuration files.",
        "role_arn": "A role to assume.",
        "external_id": "The external id that the role asks for.",
        "anonymous": "Sign nothing: read a public bucket.",
        "key_template": "How originals are named in the bucket: [key templates](#key-templates).",
        "upload_origins": "Origins (`https://app.example.com`) whose pages put pictures straight into the bucket. `s3img cors` allows them.",
        "upload_templates": 'Named key templates to choose from where pictures are uploaded: `blog = "blog/{{year}}/{{slug}}.{{ext}}"`. Used by `s3img upload --template blog`, and in the [gallery](gallery.md).',
        "link_templates": 'Named forms of links: `figure = "{{< figure src={url} >}}"`. Used by `s3img upload --format figure`, and in the [gallery](gallery.md). The fields are those of [`--format`](cli.md); `{{url}}` is the same as `{url}`.',
    },
    "Pictures": {
        "widths": "Widths of the variants in px. None is wider than the image.",
        "formats": "Formats beside the source's own.",
        "quality": "1 to 100 for each format. The defaults look alike.",
        "subsampling": "Colour of AVIF and JPEG: at full resolution (`4:4:4`) or at half (`4:2:0`). `auto`: full for PNG, GIF and BMP, half for photographs ([why](benchmarks.md#drawings-are-not-photographs)).",
        "sizes": "The `sizes` attribute. By default it follows from the layout; for [known themes](mkdocs.md#how-wide-the-column-is) from the theme.",
        "markup": "`picture`: a `<picture>` with a source per format. `img`: `srcset` in one format on the `<img>`. `auto`: the first, unless [your style sheets](publishing.md#markup) would see it.",
        "presets": "Named transforms, for `n-NAME`.",
        "fonts": '[Fonts](transforms.md#text) for ImageKit\'s names: `Lato = "fonts/Lato.ttf"`, `Lato-Bold`, `Lato-Italic`, `Lato-BoldItalic`. Keys, or paths of the site.',
        "focus_detectors": 'Functions that [find faces and objects](transforms.md#detectors): `face = "my_faces:find"`. By default those that are installed.',
        "rules": "[Attributes for images by path](publishing.md#rules).",
        "limits": "What one image may cost: [limits](#limits).",
    },
    "Publishing and syncing": {
        "missing": "What an image that is missing means: the run fails (`error`), a warning (`warn`), nothing (`keep`).",
        "remove_local": "Delete the site's own copy of an image once all pages load it from the bucket.",
        "check_public": "Before `publish` changes pages, ask for one object at `public_url` as a visitor would. A refusal ends the run.",
        "site_url": "Where the site is served. Its path is the prefix of root-relative references.",
        "cache_dir": "Folder for rendered variants and what is known of sites. By default the user's cache folder.",
        "workers": "Uploads at a time.",
        "deadline": "Seconds after which a run begins no further upload, ends those under way, and exits with 5. The next run goes on. 0: no limit.",
        "executor": "What renders in a `publish` or `sync`: `threads`; `processes`, which survive a decoder that crashes; or `dask`. With `--executor` and `S3IMG_EXECUTOR` also [`dask=tcp://HOST:8786` and `MODULE:FUNCTION`](bulk.md#executors), on machines that share the files and `cache_dir`.",
        "variants": "Let [`sync`](sync.md#variants) render the variants of each image too.",
    },
    "The transform service": {
        "access": "What the [service](service.md) serves without a signature.",
        "allowed": 'Transforms for `access = "sizes"`, such as `"w-300,h-300"`.',
        "signing_keys": "`ID:SECRET`, several with blanks between them. In `S3IMG_SIGNING_KEYS` or Python only.",
        "imagekit_private_key": 'Checks addresses that ImageKit\'s libraries sign (`ik-s`, `ik-t`). Several with blanks between them; with several endpoints one for each (`{"web": "KEY"}`). In `S3IMG_IMAGEKIT_PRIVATE_KEY` or Python only.',
        "imgproxy": "Answers [imgproxy's addresses](coming-from-imgproxy.md) below its `mount`. Its keys are in `IMGPROXY_KEY` and `IMGPROXY_SALT`, or in Python.",
        "service_url": "Public address of the service, or of one of its endpoints.",
        "origins": "[Where the service reads](service.md#origins), by name. By default `bucket`.",
        "endpoints": "Which origins are below `/NAME/`, or at the root of a host.",
        "service": "How the service answers: [service](#service).",
    },
}

LIMITS = {
    "input_bytes": "Bytes of one source.",
    "input_pixels": "Px of a source that is decoded as a whole. A progressive JPEG is kept with two bytes for each sample, which counts as four bytes a px.",
    "jpeg_pixels": "Px of a JPEG in one scan, which is scaled down as it comes. 200 megapixels take about a second and 165 MB for all widths.",
    "frame_pixels": "Px times frames of an animation.",
    "output_pixels": "Px of a result.",
    "output_side": "Px of a result's longer side.",
    "steps": "Steps of one transform.",
    "seconds": "Seconds of one render.",
    "tolerant": "Take a JPEG that lacks nothing but its end marker, as browsers do. Uploads refuse it unless `UploadPolicy(tolerant=True)`.",
    "memory": "Bytes that the sources which a process of the service decodes at a time [may take](service.md#memory). 0: no bound.",
    "isolate": "Whether the [service](service.md#untrusted-pictures) and uploads decode in processes of their own. `auto`: on Linux, macOS and BSD, where the machine or container has a GiB of memory.",
}

SERVICE = {
    "max_age": "Seconds that a cache may keep an answer whose source may change.",
    "stale_while_revalidate": "Seconds that a cache may go on using an old answer while it asks for a new one.",
    "stale_if_error": "Seconds that an old answer may be used while the source can't be reached.",
    "cors_origins": "Origins whose scripts may read pictures, or `*`.",
    "active_content": "SVG and other documents that can run scripts: shown in a sandbox, or as a download.",
    "client_hints": "Ask browsers for their width and density (`Accept-CH`), and use them for `w-auto` and `dpr-auto`.",
    "private": "Keep every answer out of shared caches: for pictures behind a login.",
    "missing_detector": "What `fo-face` and `fo-car` do where nothing finds faces or cars: the same as `fo-auto`, or an error.",
    "server_timing": "Tell in `Server-Timing` what took how long.",
    "metrics_path": "Path of the metrics for Prometheus, such as `/metrics`. Empty: none.",
    "drain_file": "While this file exists, `/readyz` answers 503: [taking a machine out](fleet.md#taking-a-machine-out).",
    "results": "Where renderings are stored: an address, or `none`. Empty: in `bucket`, where that is an `s3://` one.",
    "cache_bytes": "Bytes of renderings on the disk. 0: none.",
    "memory_bytes": "Bytes of renderings in memory, in each process.",
    "fetches": "Sources that a process reads at a time.",
    "renders": "Pictures that a process decodes and resizes at a time. 0: one a processor.",
    "encodes": "Pictures that a process encodes to AVIF at a time, and as many to other formats. 0: one a processor.",
    "queue": "Requests that may wait, for each of these three and for all of them. Others get 503.",
    "per_client": "Requests of one client at a time. 0: no bound.",
    "fresh": "Seconds after which a source is asked again whether it has changed.",
    "missing": "Seconds for which a missing source is remembered.",
    "seconds": "Seconds that one request may take.",
    "lease": "Seconds for which the machines of a [fleet](fleet.md) wait for the one that renders. 0: not at all.",
}

HEADINGS = {"limits", "service"}
"""Settings whose fields have a section of their own, with its anchor."""


def settings() -> Iterator[str]:
    """Yield a section with a table for each group of settings; raise KeyError for one without a meaning."""
    described = {name: text for group in SETTINGS.values() for name, text in group.items()}
    fields = {field.name: field for field in msgspec.structs.fields(Config)}
    if described.keys() != fields.keys():
        raise KeyError(f"docs/generate_settings.py describes other settings: {described.keys() ^ fields.keys()}")
    for title, group in SETTINGS.items():
        yield f"## {title}"
        yield ""
        yield from table([fields[name] for name in group], group)
        yield ""


def table(fields: list[Any], meanings: dict[str, str], prefix: str = "") -> Iterator[str]:
    """Yield a table of settings, each with an anchor of its name; those of a table have the table's name before it."""
    yield "| setting | kind | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for field in fields:
        anchor = "" if field.name in HEADINGS and not prefix else f'<a id="{prefix}{field.name}"></a>'
        name = f"{anchor}`{field.name}`"
        yield f"| {name} | {kind(field.type)} | {shown(field)} | {meanings[field.name].replace('|', chr(92) + '|')} |"


def kind(annotation: Any) -> str:  # noqa: ANN401 - a type is data here
    """Return a type in words of a settings file."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in parts if value)
    if origin in {Union, types.UnionType}:
        return ", ".join(dict.fromkeys(kind(part) for part in parts if part is not type(None)))
    if origin is tuple:
        return f"list of {kind(parts[0])}" if get_origin(parts[0]) is not Literal else f"list of: {kind(parts[0])}"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)):
        return "table"
    return {str: "text", bool: "`true`, `false`", int: "number", float: "number"}[annotation]


def shown(field: Any) -> str:  # noqa: ANN401 - msgspec's description of a field
    """Return a default as it is written in a settings file; nothing for an empty one."""
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if isinstance(value, Limits | ServiceSettings) or value is None or value in ("", (), {}):
        return ""
    if isinstance(value, msgspec.Struct):
        return f"`{{{', '.join(f'{name} = {number}' for name, number in msgspec.structs.asdict(value).items())}}}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return (
        f"{value:,g}"
        if isinstance(value, int | float) and value < 1e6
        else f"{value:,}"
        if isinstance(value, int)
        else f"`{value}`"
    )


def page(text: str) -> str:
    """Return the page with its tables as the code has them."""
    text = between(text, "settings", "\n".join(settings()).rstrip())
    text = between(text, "limits", "\n".join(table([*msgspec.structs.fields(Limits)], LIMITS, "limits.")))
    return between(text, "service", "\n".join(table([*msgspec.structs.fields(ServiceSettings)], SERVICE, "service.")))


def between(text: str, name: str, content: str) -> str:
    """Return the page with this content between the two comments of that name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    head, _, rest = text.partition(begin)
    return f"{head}{begin}\n{content}\n\n{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
