"""Rows of PNG for s3img."""

class PngRows:
    """The first picture of a PNG, from top to bottom."""

    size: tuple[int, int]
    stride: int
    def __init__(self, data: bytes, memory: int) -> None: ...
    def read(self, count: int) -> bytes: ...
