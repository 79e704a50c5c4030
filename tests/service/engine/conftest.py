from __future__ import annotations

from engine_bench import bench

__all__ = ["bench"]
