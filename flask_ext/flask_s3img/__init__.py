"""s3img for Flask: ``S3Img().init_app(app)``, or ``register(app)``."""

from flask_s3img.extension import S3Img, image_uploaded, register

__all__ = ["S3Img", "image_uploaded", "register"]
