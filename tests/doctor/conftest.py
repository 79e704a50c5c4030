"""Fixtures of the doctor's tests, and the set-ups that it examines."""

from __future__ import annotations

from limited_keys import limited

__all__ = ["limited"]
