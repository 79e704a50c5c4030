"""The transform service: pictures out of any bucket, in the size and format that their address asks for."""

from s3img.service.app import TransformService
from s3img.service.factory import create_app, create_asgi_app

__all__ = ["TransformService", "create_app", "create_asgi_app"]
