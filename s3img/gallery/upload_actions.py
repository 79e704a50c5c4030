"""Uploads by form and by script: each picture has a result of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from werkzeug.wrappers import Response

from s3img.errors import S3ImgError, KeyTaken
from s3img.gallery.object_actions import ChangeOutcome, outcome_page
from s3img.gallery.page_layout import wants_json

if TYPE_CHECKING:
    from s3img.gallery.gallery_app import Visit


def upload(visit: Visit) -> Response:
    """Store the pictures of a form; each has a result of its own."""
    prefix, layout = visit.request.args.get("prefix", ""), visit.layout
    results: list[dict[str, Any]] = []
    for file in visit.files:
        name = file.filename or ""
        if not name:
            continue
        try:
            saved = visit.gallery.uploader.save(file.stream, filename=name, folder=prefix)
        except S3ImgError as error:
            text = str(error) if isinstance(error, KeyTaken) else error.visitor
            results.append({"ok": False, "name": name, "message": text})
            continue
        page = layout.url("/object", key=saved.key)
        results.append(
            {"ok": True, "name": name, "key": saved.key, "url": saved.url, "page": page, "existed": saved.existed}
        )
    stored = [one["key"] for one in results if one["ok"]]
    visit.audit("upload", stored, failed=len(results) - len(stored))
    status = 200 if stored or not results else 422
    if wants_json(visit.request):
        return Response(msgspec.json.encode({"results": results}), status, content_type="application/json")
    failed = [(one["name"], one["message"]) for one in results if not one["ok"]]
    return outcome_page(visit, ChangeOutcome(stored, failed), prefix, status)
