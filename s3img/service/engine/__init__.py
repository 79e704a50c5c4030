"""The engine of the transform service: from a parsed request to bytes, kept where the next request finds them."""

from s3img.pictures.result_names import SyncedVariants
from s3img.service.engine.engine import Engine
from s3img.service.engine.jobs import (
    Budget,
    CheckRequest,
    EngineOptions,
    EngineProtocol,
    Original,
    RenderJob,
    Result,
    SourceFacts,
    SourceRef,
    Timings,
)

__all__ = [
    "Budget",
    "CheckRequest",
    "Engine",
    "EngineOptions",
    "EngineProtocol",
    "Original",
    "RenderJob",
    "Result",
    "SourceFacts",
    "SourceRef",
    "SyncedVariants",
    "Timings",
]
