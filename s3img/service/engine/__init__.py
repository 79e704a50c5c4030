"""The engine of the transform service: from a parsed request to bytes, kept where the next request finds them."""

from s3img.service.engine.engine import Engine
from s3img.service.engine.requests import (
    Budget,
    EngineOptions,
    EngineProtocol,
    Facts,
    Inspect,
    Original,
    RenderJob,
    Result,
    SourceRef,
    Timings,
)
from s3img.service.engine.stores import SyncedVariants

__all__ = [
    "Budget",
    "Engine",
    "EngineOptions",
    "EngineProtocol",
    "Facts",
    "Inspect",
    "Original",
    "RenderJob",
    "Result",
    "SourceRef",
    "SyncedVariants",
    "Timings",
]
