"""A validator for WTForms' file fields (Flask-WTF's ``FileField``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import current_app
from wtforms.validators import StopValidation

from s3img.errors import S3ImgError

if TYPE_CHECKING:
    from wtforms import Field, Form


class ImageUpload:
    """Refuse what `S3Img.save` would refuse by its first bytes: size, px, and what the file really is.

    ``policy`` are fields of `s3img.uploads.UploadPolicy`; ``message`` replaces the reason. An empty field passes: put
    ``FileRequired`` before it where a picture is needed.
    """

    def __init__(self, message: str = "", **policy: Any) -> None:
        self._message = message
        self._policy = policy

    def __call__(self, form: Form, field: Field) -> None:  # noqa: ARG002 - WTForms' signature
        """Raise StopValidation with the reason."""
        for file in field.data if isinstance(field.data, list) else [field.data]:
            if file and file.filename:
                self._check(file)

    def _check(self, file: Any) -> None:
        start = file.stream.tell()
        try:
            current_app.extensions["s3img"].uploader(None, self._policy).check(file.stream, filename=file.filename)
        except S3ImgError as error:
            raise StopValidation(self._message or str(error)) from error
        finally:
            file.stream.seek(start)
