"""The pages."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, session, url_for

from gallery import pictures
from gallery.extensions import s3img
from s3img import S3ImgError

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

blueprint = Blueprint("gallery", __name__)


@blueprint.get("/")
def index() -> str:
    """Show all pictures."""
    return render_template("index.html", photos=current_app.config["PHOTOS"], pictures=pictures.newest())


@blueprint.post("/")
def upload() -> Response | tuple[str, int]:
    """Store a picture, or say what is wrong with it."""
    file = request.files.get("picture")
    if file is None or not file.filename:
        flash("Choose a picture first.")
        return index(), 400
    try:
        uploaded = s3img.save(file)
    except S3ImgError as error:
        flash(error.visitor)
        return index(), error.status
    pictures.add(uploaded, request.form.get("alt", "")[:200])
    return redirect(url_for(".index"))


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> Response | str:
    """Ask for the editors' password; without one in the settings there are no editors."""
    password = current_app.config["EDITORS_PASSWORD"]
    if not password:
        abort(404)
    if request.method == "POST" and hmac.compare_digest(request.form.get("password", "").encode(), password.encode()):
        session["is_editor"] = True
        return redirect("/images/")
    return render_template("login.html")
