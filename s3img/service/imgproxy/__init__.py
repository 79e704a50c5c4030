"""imgproxy's addresses in the transform service: who may ask, which origin is meant, and the answer."""
