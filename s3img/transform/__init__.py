"""Transforms: ImageKit's language for what to do to an image, read strictly, written in one canonical form."""

from s3img.transform.geometry import Hints, Plan, Size
from s3img.transform.steps import Output, Step
from s3img.transform.transform import Transform

__all__ = ["Hints", "Output", "Plan", "Size", "Step", "Transform"]
