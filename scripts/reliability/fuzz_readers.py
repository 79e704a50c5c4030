"""Everything of s3img that reads what others wrote, as functions of bytes, and inputs to begin with.

A reader returns what it made of its input. It may raise `S3ImgError`, nothing else, and an AssertionError where what it
made breaks a promise.
"""

from __future__ import annotations

import atexit
import json
import tempfile
from contextlib import ExitStack, contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from stub_store import Answer, StubStore, stub_store

from s3img import Images, Transform, csp
from s3img.bulk.inventory import read_inventory
from s3img.codings import decoded, encoded, is_known
from s3img.config.address import parse as parse_address
from s3img.config.load import load
from s3img.errors import S3ImgError
from s3img.gc.marks import TRASH, read_marks
from s3img.gc.references import FOLDER as REFERENCES
from s3img.gc.references import ReferenceReader
from s3img.imaging import cleaned, describe, probe
from s3img.imgproxy import OptionGrammar
from s3img.imgproxy.option_grammar import repaired
from s3img.keys import KeyTemplate
from s3img.limits import Limits
from s3img.lock import Lock
from s3img.pictures.style_check import parse_sheet
from s3img.rewrite import OPTIONAL_KINDS, find_references, rewrite, srcset
from s3img.rewrite.formats import FINDERS
from s3img.service.request_parsing import parse_request
from s3img.signing import Signer, canonical
from s3img.uploads.template import UploadTemplate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3img.buckets import Bucket

DATA = Path(__file__).parents[2] / "tests" / "data"
LIMITS = Limits(input_bytes=2_000_000, input_pixels=400_000, frame_pixels=1_000_000, seconds=5)


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")  # as Python gives names of files and environment variables


def document(media_type: str) -> Callable[[bytes], Any]:
    """Read a document, and change each of its references and none of them."""

    def read(data: bytes) -> Any:
        references = find_references(data, media_type, optional=OPTIONAL_KINDS)
        if any(not 0 <= found.start <= found.end <= len(data) for found in references):
            raise AssertionError("a reference lies outside of its document")
        if rewrite(data, media_type, lambda _: None) != data:
            raise AssertionError("a document was changed though nothing was to be replaced")
        changed = rewrite(data, media_type, lambda reference: f"https://img.example.com/{len(reference.url)}")
        if references and not changed:
            raise AssertionError("a document was lost")
        return sorted({reference.kind for reference in references}), changed != data

    return read


def image(data: bytes) -> Any:
    """Do with a picture what uploads, publishing and the service do with it."""
    info = probe(data, limits=LIMITS)
    images = Images()
    images.config = type(images.config)(limits=LIMITS)
    rendered = images.render(data, "w-20,f-webp")
    described, clean = describe(data, limits=LIMITS), cleaned(data, limits=LIMITS)
    return info.format, type(rendered).__name__, type(described).__name__, len(clean.data) < len(data)


def transform(data: bytes) -> Any:
    parsed = Transform.parse(text_of(data))
    if str(Transform.parse(str(parsed))) != str(parsed):
        raise AssertionError("its canonical text reads as another transform")
    return type(parsed.output_size((1000, 700))), str(parsed).count("-")


GRAMMAR = OptionGrammar(presets={"thumb": "rs:fill:64:64/q:60"}, allow_security_options=True)
SIGNER = Signer.of("a:secret", audience="service")
SIGNED_TARGETS = ("/tr:w-300,h-200/2026/a%20cat.jpg?ik-attachment=true", "/a%2Fb/tr:w-1:h%2C2?tr=w-3")
SIGNED = [SIGNER.sign(target, expires=10**11).encode() for target in SIGNED_TARGETS]


def signed_address(data: bytes) -> Any:
    """Check a signature: of all that is made of a signed address, only what means the same passes."""
    verified = SIGNER.verify(data.decode("latin-1"), now=0)
    if verified.target not in SIGNED_TARGETS:
        raise AssertionError(f"{verified.target} passes, which nobody signed")
    return verified.key_id


def request(data: bytes) -> Any:
    """Read an address as the service does: canonical, which canonical leaves as it is, then its parts."""
    target = canonical(data.decode("latin-1"))
    if canonical(target) != target:
        raise AssertionError("the canonical form has another canonical form")
    parsed = parse_request(target)
    return parsed.kind, parsed.steps is None, bool(parsed.origin), bool(parsed.version)


def lock(data: bytes) -> Any:
    read = Lock.parse(data.decode("utf-8", "replace"))  # a file that is not UTF-8 is refused before
    if Lock.parse(str(read)) != read:
        raise AssertionError("its text form reads as another lock")
    return len(read), read.is_tidy


def template(data: bytes) -> Any:
    text = text_of(data)
    results: list[Any] = []
    for kind in (KeyTemplate, UploadTemplate):
        try:
            results.append(str(kind.parse(text)) == text)
        except S3ImgError as error:
            results.append(str(error)[:40])
    return results


def body(data: bytes) -> Any:
    """Unpack a compressed body; what comes out is within its bound."""
    found = {coding: decoded(data, coding, 100_000) for coding in CODINGS}
    if any(len(one) > 100_000 for one in found.values() if one is not None):
        raise AssertionError("more came out than the limit")
    return [coding for coding, one in found.items() if one is not None]


CODINGS = [coding for coding in ("gzip", "deflate", "br", "zstd") if is_known(coding)]


def policy(data: bytes) -> Any:
    """Read a Content-Security-Policy; one that was extended for an address allows it."""
    text, url = text_of(data), "https://img.example.com/a.png"
    before = csp.allows([text], url, own="https://example.com")
    if not csp.allows([csp.extended(text, url)], url, own="https://example.com"):
        raise AssertionError("the extended policy does not allow the images")
    return before, len(csp.in_page(b'<meta http-equiv="content-security-policy" content="' + data + b'">'))


@contextmanager
def file_of(data: bytes, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="s3img-fuzz-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


def settings(data: bytes) -> Any:
    with file_of(data, "s3img.toml") as path:
        config = load(path=path, environ={}, folder=path.parent)
    return [name for name in config.__struct_fields__ if getattr(config, name)]


def generator_file(data: bytes) -> Any:
    with file_of(data, "mkdocs.yml") as path:
        return load(environ={}, folder=path.parent).bucket[:4]


def inventory(data: bytes) -> Any:
    with file_of(data, "inventory.csv") as path:
        return len([*read_inventory(path, parse_address("s3://pictures"))])


@cache
def record_bucket() -> Bucket:
    from s3img.buckets import open_bucket

    folder = tempfile.TemporaryDirectory(prefix="s3img-fuzz-")
    atexit.register(folder.cleanup)
    return open_bucket(Path(folder.name).as_uri())


def record(data: bytes) -> Any:
    """Read what the clean-up has written: marks, and the reference of a site."""
    bucket = record_bucket()
    key = f"{REFERENCES}site/{'0' * 16}-x.json"
    results: list[Any] = []
    for place in (TRASH, key):
        bucket.put(place, data, media_type="application/json")
        try:
            found = read_marks(bucket) if place == TRASH else ReferenceReader(bucket).read()
            results.append(len(found))
        except S3ImgError as error:
            results.append(str(error)[-30:])
    return results


@cache
def stub() -> StubStore:
    running = ExitStack()
    atexit.register(running.close)  # it also keeps the server
    return running.enter_context(stub_store())


@cache
def stub_buckets() -> list[Bucket]:
    from s3img.buckets import open_bucket

    return [open_bucket("s3://pictures", stub().options(use_obstore=use)) for use in (False, True)]


LISTING = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>pictures</Name><Prefix></Prefix>
<KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>
<Contents><Key>img/a b.png</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>&quot;9e1&quot;</ETag>
<Size>10</Size><StorageClass>STANDARD</StorageClass></Contents>
<Contents><Key>img/&amp;c.png</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>"9e2"</ETag>
<Size>11</Size></Contents></ListBucketResult>"""


def listing(data: bytes) -> Any:
    """List a bucket whose store answers with this, through both clients."""
    stub().answers = [Answer(200, data, {"Content-Type": "application/xml"})]
    results: list[Any] = []
    for bucket in stub_buckets():
        try:
            results.append(len([*bucket.list()]))
        except S3ImgError as error:
            results.append(str(error)[-30:])
    stub().requests.clear()
    return results


def refusal(data: bytes) -> Any:
    """Ask for an object, and be refused with this."""
    stub().answers = [Answer(403, data, {"Content-Type": "application/xml"})]
    try:
        return len(stub_buckets()[0].get("a.png"))
    finally:
        stub().requests.clear()


READERS: dict[str, Callable[[bytes], Any]] = {
    **{kind: document(kind) for kind in FINDERS},
    "srcset": lambda data: len(srcset.parse(text_of(data))),
    "style sheet": lambda data: len(parse_sheet(data.decode("utf-8", "replace"))[0]),
    "image": image,
    "transform": transform,
    "imgproxy": lambda data: len(GRAMMAR.parse(repaired(data.decode("latin-1"))).options.pipelines),
    "request": request,
    "signature": signed_address,
    "lock": lock,
    "template": template,
    "address": lambda data: type(parse_address(text_of(data))).__name__,
    "compressed": body,
    "policy": policy,
    "settings": settings,
    "mkdocs.yml": generator_file,
    "inventory": inventory,
    "record": record,
    "listing": listing,
    "refusal": refusal,
}
"""What is fuzzed, by the name of a file below ``tests/data/fuzz``."""


def pictures() -> list[bytes]:
    noise = Image.effect_noise((60, 40), 80).convert("RGB")
    made = []
    for name in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "ICO", "JPEG2000"):
        out = BytesIO()
        noise.save(out, name)
        made.append(out.getvalue())
    frames = [Image.effect_noise((30, 20), 20 * n + 1).convert("RGB") for n in range(4)]
    for name in ("GIF", "PNG", "WEBP", "AVIF"):
        out = BytesIO()
        frames[0].save(out, name, save_all=True, append_images=frames[1:])
        made.append(out.getvalue())
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "maker", 0x8298: "rights", 0x9003: "2026:01:02 03:04:05"})
    for name in ("JPEG", "PNG", "WEBP", "AVIF"):
        out = BytesIO()
        noise.save(out, name, exif=exif.tobytes(), **({"progressive": True} if name == "JPEG" else {}))
        made.append(out.getvalue())
    made.append(b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 30 20"><style>a{b:url(c)}</style></svg>')
    made.append(b'<?xml version="1.0"?><!DOCTYPE svg><svg width="3cm" height="2e1px"><image href="a"/></svg>')
    return made + [path.read_bytes() for path in sorted(DATA.glob("heic/*.heic"))]


PAGES = [
    b'<p><img src=a.jpg srcset="a.jpg 1x, b.jpg 2x" style="background:url(c.png)"><svg><image href=d.png /></svg>',
    b'<picture><source srcset="a.webp 10w"><img src="a.jpg"></picture><style>@import "x";a{b:image-set(url(c)1x)}',
    b'<script type="application/ld+json">{"image":["a.jpg"]}</script><!-- s3img:off --><noscript><img src=b>',
    b"<?xml version='1.0'?><rss><channel><item><description>&lt;img src=a&gt;</description></item></channel></rss>",
    (
        b'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
        b'xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"><url><loc>a</loc>'
        b"<image:image><image:loc>a.png</image:loc></image:image></url></urlset>"
    ),
    b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><content type="html"><![CDATA[<img src=a>]]></content></entry>',
]


def seeds() -> dict[str, list[bytes]]:
    """Return inputs to begin with, by kind: of the tests, and what earlier runs found worth keeping."""

    def vectors(name: str, field: str, group: str = "vectors") -> list[bytes]:
        found = json.loads((DATA / name).read_text())
        rows = found[group] if isinstance(found, dict) else found
        return [row[field].encode("utf-8", "surrogatepass")[:2000] for row in rows if row.get(field)]

    markdown = [path.read_bytes()[:3000] for path in sorted(DATA.glob("markdown/*.md"))]
    given: dict[str, list[bytes]] = {
        **{kind: [*PAGES] for kind in FINDERS},
        "text/css": [b"a{background:url('b.png')}@media x{c{d:image-set('e' 1x,url(f)2x)}}/*g*/", b'@import url("a");'],
        "text/markdown": markdown,
        "application/ld+json": [b'{"@type":"Article","image":["a.jpg",{"@type":"ImageObject","url":"b\\u0062"}]}'],
        "application/manifest+json": [b'{"icons":[{"src":"a.png","sizes":"1x1"}],"screenshots":[{"src":"\\u0062"}]}'],
        "srcset": [b"a.jpg 1x, b.jpg 2x", b"a 100w, b 200w,c 300w", b"a,(b,c) 1.5e3w 2h", b" , a"],
        "style sheet": [b"figure > img + p{x:y}@import 'a.css';@media print{a:nth-child(2n + 1) img{b{c:d}}}"],
        "image": pictures(),
        "transform": [
            *(b"w-300,h-200,c-at_max:rt-90,fo-top", b"w-iw_div_2,ar-4-3,e-sharpen-5,q-80,f-auto", b"n-a:di-x"),
            *(b"l-text,i-Hello%20you,fs-20,co-FF0000,lx-bw_mul_0.5,l-end", b"l-image,i-a@@b.png,w-20,l-end:bl-3"),
            *(b"if-ar_gt_1.2_and_w_lt_500,w-300,if-else,h-200,if-end", b"e-gradient-ld-top_from-red_to-00FF0080"),
            *(b"z-0.5,fo-face,r-max,b-5_FF0000,bg-blurred_10_-20", b"c-pad_resize,bg-gradient_dominant_2,o-50,t-10"),
        ],
        "imgproxy": [
            b"/rs:fill:300:200:1/g:fp:0.5:0.3/q:80/plain/s3://b/k.png@webp",
            b"/pr:thumb/bl:2/aHR0cDovL2E.jpg",
        ],
        "request": [
            *(
                b"/tr:w-300,h-200/2026/a%20cat.jpg?ik-attachment=true",
                b"/info/s3://a/b.png?versionId=x",
                b"/a/tr:w-1/b",
            ),
            *(b"/ik-seo/a/cat/nice-name.jpg?tr=w-3%2Ch-4", b"/x.mp4/ik-thumbnail.jpg", b"/a?b&c=&ik-obj-version=%2F"),
        ],
        "signature": SIGNED,
        "lock": [
            b"# s3img.lock/1: path sha256 bytes px type key placeholder\nimg/a%20b.png " + b"0a" * 32 + b" 120 40x30 "
            b"image/png img/a%20b.0a0a0a0a.png #aabbcc\nimg/c.svg " + b"0b" * 32 + b" 9 0x0 image/svg+xml c.svg -\n"
        ],
        "template": [b"{{dir}}/{{stem}}.{{hash:8}}.{{ext}}", b"i/{{year}}/{{ulid-dayslice}}.{{ext}}", b"{{w}}x{{h}}"],
        "address": [b"s3://bucket/prefix/a", b"file:///folder/a%20b", b"s3://a.b-c", b"file://localhost/a"],
        "compressed": [encoded(PAGES[0] * 9, coding) for coding in CODINGS] + [encoded(bytes(300_000), "gzip")],
        "policy": [b"default-src 'self'; img-src 'self' data: *.example.com:*", b"img-src 'none', default-src https:"],
        "settings": [
            (
                b'bucket = "s3://pictures/p"\nwidths = [100, 200]\nformats = ["webp"]\nsite_url = "https://x.example"\n'
                b'[service]\nrenders = 2\ncors_origins = ["*"]\n[presets]\na = "w-1"\n[limits]\nseconds = 3\n'
            ),
        ],
        "mkdocs.yml": [
            (
                b"site_name: a\nsite_url: https://a.example\ntheme: {name: material}\nplugins:\n- search\n- s3img:\n"
                b"    bucket: s3://pictures\n    widths: [1, 2]\n    quality: {webp: !ENV [A, 80]}\n"
            ),
        ],
        "inventory": [b'bucket,key,size,etag\npictures,a%20b.png,10,"9e1"\npictures,"c,d.jpg",0,\n'],
        "record": [
            b'{"schema":"s3img.trash/1","marks":{"a.png":["2026-01-02T03:04:05Z","2026-01-02T03:04:05Z"]}}',
            b'{"schema":"s3img.reference/1","site":"a","keys":["a.png","b.png"]}',
        ],
        "listing": [LISTING, LISTING.replace(b"false", b"true")],
        "refusal": [
            b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message><Region>a</Region></Error>"
        ],
    }
    for name, field, group in (
        ("rewrite/srcset-cases.json", "srcset", "cases"),
        ("imgproxy/imgproxy-grammar.json", "path", "vectors"),
    ):
        kind = "srcset" if "srcset" in name else "imgproxy"
        given[kind] += vectors(name, field, group)[:200]
    given["text/html"] += vectors("rewrite/html-tricky.json", "html", "cases")
    return {kind: [*found, *corpus(kind)] for kind, found in given.items()}


def corpus_file(kind: str, folder: Path = DATA / "fuzz") -> Path:
    return folder / f"{kind.replace('/', ' ').replace('+', ' ')}.jsonl"


def corpus(kind: str) -> list[bytes]:
    """Return what earlier runs kept for a kind: a JSON string a line, each character a byte."""
    file = corpus_file(kind)
    return [json.loads(line).encode("latin-1") for line in file.read_text().splitlines()] if file.exists() else []
