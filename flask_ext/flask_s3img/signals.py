"""Signals (blinker): what apps may want to hear of."""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

image_uploaded = _signals.signal("s3img-image-uploaded")
"""Sent by the app after a picture was stored, with ``uploaded`` (`s3img.uploads.Uploaded`)."""
