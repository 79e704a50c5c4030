"""The version of what the renderer makes: part of every variant's key, raised when its output changes on purpose."""

RENDER_VERSION = 1
