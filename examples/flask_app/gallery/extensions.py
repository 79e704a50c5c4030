"""Extensions, made once and given to each app."""

from __future__ import annotations

from flask import session
from flask_s3img import S3Img


def may(_action: str, _key: str, _environ: dict[str, object]) -> bool:
    """Let who has logged in see and change all pictures of the bucket; nobody else sees any of its pages."""
    return bool(session.get("is_editor"))


s3img = S3Img(rewrite=True, service="/img", gallery="/images", authorize=may)
