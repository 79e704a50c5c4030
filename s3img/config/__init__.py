"""Settings: what they are, where they are written, and which stores are known."""

from __future__ import annotations

from s3img.config.model import DEFAULT_KEY_TEMPLATE, LOCK_NAME, Config, Format, Quality, Rule

__all__ = ["DEFAULT_KEY_TEMPLATE", "LOCK_NAME", "Config", "Format", "Quality", "Rule"]
