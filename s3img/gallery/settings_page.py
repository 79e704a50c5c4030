"""The page of settings: buckets, templates, what doctor finds, and settings of other programs as a file of s3img's.

Credentials are neither shown nor asked for; those in a file of another program go nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3img.buckets import S3Options
from s3img.buckets.s3 import facts
from s3img.buckets.s3.s3_bucket import S3Bucket
from s3img.config.address import S3Address
from s3img.config.load import CREDENTIAL_VARIABLES
from s3img.doctor import cors_rules, examine, foreign_settings, settings_file
from s3img.errors import ConfigError
from s3img.gallery.html_builder import element, field, pairs, table
from s3img.pictures.link_forms import PictureLink
from s3img.publish.result import size_text
from s3img.urls import object_url

if TYPE_CHECKING:
    from markupsafe import Markup
    from werkzeug.wrappers import Response

    from s3img.doctor import Report
    from s3img.gallery.gallery_app import Visit

MARKS: Final = {"ok": "\u2713", "warn": "!", "fail": "\u2717", "skip": "\u2013"}
"""Of findings: a form for each, not only a colour."""


def settings(visit: Visit) -> Response:
    """Show what the gallery works with."""
    return settings_page(visit)


def run_doctor(visit: Visit) -> Response:
    """Examine the set-up and show what was found, with what to do."""
    gallery = visit.gallery
    report = examine(gallery.config, lock=gallery.lock)
    visit.audit("doctor", [], failed=sum(one.status == "fail" for one in report.findings))
    return settings_page(visit, doctor_report(visit, report))


def set_cors_rule(visit: Visit) -> Response:
    """Add what the bucket's CORS rules lack for ``upload_origins``, as ``s3img cors --apply`` does; others stay."""
    words, gallery = visit.words, visit.gallery
    address, origins = gallery.config.address, gallery.config.upload_origins
    if not isinstance(address, S3Address) or not origins:
        note = element("p", words("cors_none"), class_="warning", role="alert")
        return settings_page(visit, note, status=400)
    bucket = S3Bucket(address, S3Options.from_config(gallery.config))
    before = facts.read_rules(bucket, address.bucket)
    after = cors_rules.merged(before, origins)
    if after != before:
        facts.write_rules(bucket, address.bucket, after)
    visit.audit("cors", [])
    gallery.forget_proofs()
    shown = element("pre", cors_rules.as_json(after), tabindex="0")
    done = words("cors_done") if after != before else words("cors_same")
    return settings_page(visit, element("section", element("h2", "CORS"), element("p", done, role="status"), shown))


def import_settings(visit: Visit) -> Response:
    """Show settings of another program as s3img.toml; nothing is written, and credentials are left out."""
    words = visit.words
    try:
        found = foreign_settings.read(visit.form.get("settings", ""), name=visit.form.get("name", "").strip())
    except ConfigError as error:
        problems = (element("li", problem) for problem in error.problems)
        return settings_page(visit, element("ul", *problems, class_="warning", role="alert"), status=400)
    heading = f"Imported from {found.program}: {found.name}."
    text = settings_file.document(found.values, [heading, *found.notes])
    notes = [*found.notes]
    if found.secrets:
        first, second = CREDENTIAL_VARIABLES[:2]
        notes.append(words("import_secrets", fields=", ".join(found.secrets), first=first, second=second))
    shown = element(
        "section",
        element("h2", heading),
        element("ul", *(element("li", note) for note in notes), class_="note") if notes else None,
        visit.layout.copy_area("s3img.toml", text),
        role="status",
    )
    return settings_page(visit, shown)


def settings_page(visit: Visit, *answer: Markup, status: int = 200) -> Response:
    """Return the page, with the answer to what was asked on it in front."""
    words, layout, gallery = visit.words, visit.layout, visit.gallery
    policy = gallery.policy
    taken = words(
        "largest_upload",
        size=size_text(policy.max_bytes),
        pixels=f"{policy.max_pixels / 1e6:.0f}",
        formats=", ".join(sorted(policy.formats)),
    )
    buckets = [element("li", element("a", one.name, href=one.url)) for one in layout.buckets]
    rows: list[tuple[str, str | Markup]] = [
        (words("bucket"), gallery.bucket.name),
        (words("public_url"), gallery.config.base_url),
        (words("upload_rules"), taken),
        (words("direct"), words("yes") if gallery.has_direct(visit.request) else words("no")),
    ]
    rows += [(words("profiles"), element("ul", *buckets))] if buckets else []
    return layout.page(
        words("settings"),
        layout.crumbs("", words("settings")),
        element("h1", words("settings")),
        *answer,
        pairs(rows),
        element("h2", words("templates")),
        templates_table(visit),
        element("h2", words("doctor_title")),
        element("p", words("doctor_note"), class_="note"),
        layout.form("/doctor", element("button", words("doctor_run")), class_="row"),
        element("h2", words("import_title")),
        element("p", words("import_note"), class_="note"),
        layout.form(
            "/import",
            element(
                "label", words("import_text"), element("textarea", name="settings", required=True, spellcheck="false")
            ),
            field(words("import_name"), "name"),
            element("button", words("import_show"), class_="plain"),
            class_="many",
        ),
        status=status,
    )


def templates_table(visit: Visit) -> Markup:
    """Return the templates of keys and links, each with what it makes of an example."""
    gallery, words = visit.gallery, visit.words
    url = object_url(gallery.config.base_url, "photo.jpg")
    example = PictureLink(url=url, key="photo.jpg", name="photo.jpg", width=640, height=480)
    keys = {words("usual"): gallery.template, **gallery.config.upload_templates}
    rows = [
        (name, template, gallery.uploader.with_options(template=template).preview_key("photo.jpg", folder="folder"))
        for name, template in keys.items()
    ]
    rows += [(name, template, example.text(template)) for name, template in gallery.config.link_templates.items()]
    return table(words("templates"), rows)


def doctor_report(visit: Visit, report: Report) -> Markup:
    """Return the findings in their order, the cause to fix first above them."""
    words = visit.words
    rows = [
        (
            f"{MARKS[one.status]} {words(f'finding_{one.status}')}",
            one.probe,
            [one.message, element("br"), element("strong", one.fix)] if one.fix else one.message,
        )
        for one in report.findings
    ]
    first = report.first
    title = words("doctor_fine") if first is None else f"{words('doctor_first')}: {first.message} {first.fix}"
    return element(
        "section",
        element("h2", words("doctor_title")),
        element("p", title, role="status", class_="warning" if first else "note"),
        table(words("doctor_title"), rows),
        visit.layout.form("/set-cors", element("button", words("cors_set")), class_="row")
        if any(one.code == "cors-missing" for one in report.findings)
        else None,
    )
