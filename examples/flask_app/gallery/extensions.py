"""Extensions, made once and given to each app."""

from __future__ import annotations

from flask_s3img import S3Img

s3img = S3Img(rewrite=True, service="/img")
