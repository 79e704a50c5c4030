"""imgproxy's addresses as values: processing options, the source they name, and the geometry that they mean.

Everything here is pure. The rules are those of imgproxy 4 (github.com/imgproxy/imgproxy, Apache-2.0), read from its
source and checked against vectors that its own code was run on.
"""

from s3img.imgproxy.box_geometry import BoxPlan, plan_boxes
from s3img.imgproxy.option_grammar import OptionGrammar, ProxyRequest
from s3img.imgproxy.processing_options import Pipeline, ProcessingOptions

__all__ = ["BoxPlan", "OptionGrammar", "Pipeline", "ProcessingOptions", "ProxyRequest", "plan_boxes"]
