"""Decode what strangers send in processes of their own, which can be ended and take nothing with them."""

from s3img.imaging.isolation.render_processes import (
    RENDER_PROCESSES,
    RenderProcesses,
    WorkerProcess,
    is_isolated,
    run_untrusted,
)

__all__ = ["RENDER_PROCESSES", "RenderProcesses", "WorkerProcess", "is_isolated", "run_untrusted"]
