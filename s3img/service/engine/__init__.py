"""The engine of the transform service: from a parsed request to bytes, kept where the next request finds them."""

from s3img.service.engine.engine import Engine
from s3img.service.engine.model import Budget, EngineProtocol, Facts, Inspect, Job, Original, Result, SourceRef, Timings
from s3img.service.engine.options import EngineOptions
from s3img.service.engine.rungs import LockedRungs

__all__ = [
    "Budget",
    "Engine",
    "EngineOptions",
    "EngineProtocol",
    "Facts",
    "Inspect",
    "Job",
    "LockedRungs",
    "Original",
    "Result",
    "SourceRef",
    "Timings",
]
