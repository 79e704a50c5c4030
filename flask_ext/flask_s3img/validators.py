"""A validator for WTForms' file fields (Flask-WTF's ``FileField`` and ``MultipleFileField``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import FileStorage
from wtforms.validators import StopValidation

from flask_s3img.app_state import log
from flask_s3img.extension import check_upload
from s3img.errors import S3ImgError

if TYPE_CHECKING:
    from wtforms import Field, Form


class ImageUpload:
    """Refuse what `S3Img.save` would refuse by its first bytes: size, px, and what the file really is.

    ``policy`` are fields of `s3img.uploads.UploadPolicy`; ``message`` replaces the
    text that says what is wrong with the file and what is accepted; the log has the reason. An empty field passes: put
    ``FileRequired`` before it where a picture is needed.
    """

    def __init__(self, message: str = "", **policy: Any) -> None:
        self._message = message
        self._policy = policy

    def __call__(self, form: Form, field: Field) -> None:  # noqa: ARG002 - WTForms' signature
        """Raise StopValidation with the reason."""
        for file in field.data if isinstance(field.data, list | tuple) else [field.data]:
            if not isinstance(file, FileStorage) or not file.filename:
                continue
            try:
                check_upload(file, self._policy)
            except S3ImgError as error:
                if error.status >= 500:  # a mistake of the program, not of who sends
                    raise
                log.info("upload of %r: %s", file.filename, error)
                raise StopValidation(self._message or error.visitor) from error
