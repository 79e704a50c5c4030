"""What files tell of themselves in IPTC-IIM and XMP, under the names that imgproxy's info has for it.

As with EXIF, what says where a picture was taken is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

from PIL import ExifTags, IptcImagePlugin

from s3img.imaging.decode import decoder
from s3img.imaging.description import plain_value
from s3img.imaging.probing import opened

if TYPE_CHECKING:
    from s3img.imaging.image_info import ImageInfo

_IPTC: Final = {
    5: "Name",
    7: "Edit Status",
    10: "Urgency",
    15: "Category",
    20: "Supplemental Category",
    25: "Keywords",
    40: "Special Instructions",
    55: "Date Created",
    60: "Time Created",
    80: "Byline",
    85: "Byline Title",
    103: "Transmission Reference",
    105: "Headline",
    110: "Credit",
    115: "Source",
    116: "Copyright Notice",
    118: "Contact",
    120: "Caption",
    122: "Writer Editor",
}
"""Data sets of record 2 (IPTC-IIM 4.2) without those of places."""
_EXIF: Final = {
    "ImageDescription": "Image Description",
    "Make": "Manufacturer",
    "Model": "Model",
    "Orientation": "Orientation",
    "XResolution": "X-Resolution",
    "YResolution": "Y-Resolution",
    "ResolutionUnit": "Resolution Unit",
    "Software": "Software",
    "DateTime": "Date and Time",
    "Artist": "Artist",
    "Copyright": "Copyright",
    "ExposureTime": "Exposure Time",
    "FNumber": "F-Number",
    "ExposureProgram": "Exposure Program",
    "ISOSpeedRatings": "ISO Speed Ratings",
    "DateTimeOriginal": "Date and Time (Original)",
    "DateTimeDigitized": "Date and Time (Digitized)",
    "ShutterSpeedValue": "Shutter Speed",
    "ApertureValue": "Aperture",
    "BrightnessValue": "Brightness",
    "ExposureBiasValue": "Exposure Bias",
    "MaxApertureValue": "Maximum Aperture Value",
    "SubjectDistance": "Subject Distance",
    "MeteringMode": "Metering Mode",
    "LightSource": "Light Source",
    "Flash": "Flash",
    "FocalLength": "Focal Length",
    "ColorSpace": "Color Space",
    "ExposureMode": "Exposure Mode",
    "WhiteBalance": "White Balance",
    "DigitalZoomRatio": "Digital Zoom Ratio",
    "FocalLengthIn35mmFilm": "Focal Length in 35mm Film",
    "SceneCaptureType": "Scene Capture Type",
    "Contrast": "Contrast",
    "Saturation": "Saturation",
    "Sharpness": "Sharpness",
    "LensMake": "Lens Make",
    "LensModel": "Lens Model",
}
"""Tags that say what is in a picture and how it was taken (EXIF 2.32), and the names that libexif shows them under.

Serial numbers, which find all pictures of one camera, are left out like places.
"""
_LISTS: Final = frozenset({"Supplemental Category", "Keywords", "Byline", "Byline Title", "Contact", "Writer Editor"})
_RDF: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_PREFIXES: Final = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/rights/": "xmpRights",
    "http://ns.adobe.com/xap/1.0/mm/": "xmpMM",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
}
"""Namespaces that are told of, and their usual prefixes (XMP specification, part 2)."""
_PLACES: Final = ("GPS", "City", "State", "Country", "Location")
_LONGEST: Final = 1 << 20  # bytes of XMP that are read
_SHOWN: Final = 1000  # characters of a value


def embedded_metadata(data: bytes, info: ImageInfo, *, iptc: bool, xmp: bool) -> dict[str, Any]:
    """Return ``iptc`` and ``xmp``, each where it is asked for and there; what can't be read is passed over."""
    found: dict[str, Any] = {}
    with opened(data) as fp, decoder(fp, info) as image:
        packet = image.info.get("xmp", b"")
        try:
            sets = IptcImagePlugin.getiptcinfo(image) if iptc else None
        except Exception:  # Pillow raises whatever it meets in broken records
            sets = None
    if texts := iptc_texts(sets or {}):
        found["iptc"] = texts
    if xmp and (properties := xmp_properties(packet)):
        found["xmp"] = properties
    return found


def exif_texts(data: bytes, info: ImageInfo, *, canonical: bool) -> dict[str, str | float]:
    """Return tags of EXIF by their ``canonical`` names (``DateTimeOriginal``), or by those that people read."""
    with opened(data) as fp, decoder(fp, info) as image:
        exif = image.getexif()
        photo = exif.get_ifd(ExifTags.IFD.Exif)
    found = {}
    for name, title in _EXIF.items():
        tag = ExifTags.Base[name]
        value = plain_value(exif.get(tag, photo.get(tag)))
        if value is not None:
            found[name if canonical else title] = value
    return found


def iptc_texts(sets: dict[tuple[int, int], Any]) -> dict[str, Any]:
    """Return the data sets of record 2 by name, those that may stand several times as lists."""
    found: dict[str, Any] = {}
    for number, name in _IPTC.items():
        value = sets.get((2, number))
        if value:
            texts = [_text(one) for one in (value if isinstance(value, list) else [value])]
            found[name] = texts if name in _LISTS else texts[0]
    return found


def _text(data: bytes) -> str:
    try:
        return data[: 4 * _SHOWN].decode("utf-8")[:_SHOWN]
    except UnicodeDecodeError:  # older programs wrote the encoding of their machine
        return data[:_SHOWN].decode("latin-1")


def xmp_properties(packet: bytes | str) -> dict[str, dict[str, Any]]:
    """Return the properties of an XMP packet by prefix and name; structures in them are passed over."""
    text = packet.encode() if isinstance(packet, str) else packet
    if not text or len(text) > _LONGEST or b"<!" in text:  # document types could define entities, XMP has none
        return {}
    try:
        root = ElementTree.fromstring(text.strip(b"\0 \n\r\t"))  # noqa: S314 - without a document type
    except (ElementTree.ParseError, ValueError):
        return {}
    found: dict[str, dict[str, Any]] = {}
    for description in root.iter(f"{_RDF}Description"):
        pairs = [*description.attrib.items(), *((child.tag, _value(child)) for child in description)]
        for tag, value in pairs:
            space, _, name = tag.removeprefix("{").partition("}")
            if value and space in _PREFIXES and not name.startswith(_PLACES):
                found.setdefault(_PREFIXES[space], {})[name] = value
    return found


def _value(element: ElementTree.Element) -> str | list[str]:
    """Return a text, the default of alternatives, or the items of a list; "" for a structure."""
    for kind in ("Seq", "Bag", "Alt"):
        items = [(item.text or "")[:_SHOWN] for item in element.findall(f"{_RDF}{kind}/{_RDF}li")]
        if items:
            return items[0] if kind == "Alt" else items
    return "" if len(element) else (element.text or "").strip()[:_SHOWN]
