"""From the text of a transform to one mapping of fields a step; every fault names its token and offset.

A chain is steps with ``:`` between them, a step is tokens with ``,`` between them. ``l-image … l-end`` and ``if-…
if-end`` are chains inside a step, so that the text is read from left to right with one method for each level.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote

from s3img.errors import TransformError, closest
from s3img.transform.colors import NAMES, Color
from s3img.transform.conditions import read_tests
from s3img.transform.overlays import CANVAS, MAX_DEPTH, PARENT_VARIABLES, Canvas, Position, Text, variables_of
from s3img.transform.parameters import (
    BY_KEY,
    BY_LAYER_KEY,
    BY_NAME,
    BY_TEXT_KEY,
    POSITION_NAMES,
    PRESET,
    REFUSED,
    REFUSED_VALUES,
    TEXT_NAMES,
    TEXT_PARAMETERS,
)
from s3img.transform.steps import DEFAULT_TRIM, Branch, Conditional, Layer, Output, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from s3img.limits import Limits
    from s3img.transform.overlays import Content
    from s3img.transform.parameters import Parameter

Fields: TypeAlias = dict[str, Any]
"""Values by the long names of parameters; ``layers`` and ``condition`` are values as well."""

MAX_TEXT: Final = 8_192
MAX_CONDITIONS: Final = 3
"""How deep conditions may lie inside each other."""
_PREFIX = re.compile(r"tr(?::|%3A)|\??tr=", re.IGNORECASE)
_LITERAL = re.compile(r"([,:])")
_COLONS: Final = frozenset({":", "%3A", "%3a"})
_ENCODED = re.compile(r"(%2C|%3A)", re.IGNORECASE)
_RATIO_BEGIN = re.compile(r"ar-[0-9.]+")
_RATIO_END = re.compile(r"[0-9.]+")
_OUTPUT_NAMES: Final = frozenset(Output.__struct_fields__)
_LAYER_ONLY: Final = frozenset(
    {"layer_alpha", "layer_mode", *POSITION_NAMES, *(row.name for row in TEXT_PARAMETERS)} - {"background", "opacity"}
)
_NODE_DENSITY: Final = "density-"
"""What ImageKit's library for Node writes in place of ``dn-`` (7.11)."""
_BRANCH_ENDS: Final = ("if-else", "if-end")


class Token(NamedTuple):
    """One ``key-value``, where it begins in the text as given, and whether a ``:`` (or the end) follows."""

    text: str
    position: int
    ends_step: bool = True


def read(text: str, *, presets: Mapping[str, str], limits: Limits) -> list[Fields]:
    """Read a whole chain; raise TransformError for the first token that can't be understood."""
    if not isinstance(text, str):
        raise TransformError(f"A transform is text, not {type(text).__name__}.")
    if len(text) > MAX_TEXT:
        raise TransformError(f"A transform of {len(text)} characters is too long; {MAX_TEXT} are allowed.")
    return ChainReader(text, presets, limits.steps).read_all()


def read_preset(name: str, fields: Fields, *, presets: Mapping[str, str], limits: Limits) -> list[Fields]:
    """Read what ``n-name`` stands for, with ``fields`` in the same step."""
    token = Token(f"{PRESET}-{name}", 0)
    reader = ChainReader("", presets, limits.steps)
    return merged(reader.read_preset(token), fields, token)


class ChainReader:
    """Read one text; ``most`` bounds the steps of the chain, of its layers and of its branches together.

    ``count`` is how many of them were read.
    """

    def __init__(self, text: str, presets: Mapping[str, str], most: int) -> None:
        self._presets = presets
        self._most = most
        self._tokens = list(tokens_of(text))
        self._next = 0
        self.count = 0
        self._conditions = 0
        self._layers: list[str] = []

    def read_all(self) -> list[Fields]:
        """Read the whole text."""
        return self.read_chain(())[0]

    def read_chain(self, ends: tuple[str, ...]) -> tuple[list[Fields], str]:
        """Read steps until one of ``ends``, or the end of the text; return them and the token that ended them."""
        steps: list[Fields] = []
        while self._next < len(self._tokens):
            found, end = self.read_step(ends)
            steps += found
            if end:
                return steps, end
        if ends:
            last = self._tokens[-1]
            raise fault(last, f"is the last one, and {ends[-1]} is missing after it")
        return steps, ""

    def read_step(self, ends: tuple[str, ...]) -> tuple[list[Fields], str]:
        """Read the tokens up to a ``:`` or one of ``ends``; a preset may stand for several steps."""
        first = self._tokens[self._next]
        found: dict[str, Any] = {}
        layers: list[Layer] = []
        condition: Conditional | None = None
        end, is_named = "", False
        while self._next < len(self._tokens):
            token = decoded(self._tokens[self._next])
            if token.text in ends:
                end = token.text
                break
            self._next += 1
            key = key_of(token.text)
            if key == "l":
                layers.append(self.read_layer(token))
            elif key == "if":
                condition = self.read_condition(token)
            # The libraries of ImageKit write the colour of a block, and then what its transformation says of it.
            elif key in found and not (key == "bg" and found.get("i") == CANVAS):
                raise fault(token, f"gives {key} a second time in one step; separate steps with ':'")
            else:
                found[key] = self.read_preset(token) if key == PRESET else self.read_value(key, token)
                is_named = token.text[3:].lower() in NAMES if key == "bg" else is_named
            if self._tokens[self._next - 1].ends_step:
                break
        self.count_step(first)
        if is_named and found.get("i") == CANVAS:
            found.pop("al", None)  # as ImageKit documents for blocks: only a colour in digits is made transparent
        return self.finish_step(first, found, layers, condition), end

    def finish_step(
        self, first: Token, found: dict[str, Any], layers: list[Layer], condition: Conditional | None
    ) -> list[Fields]:
        """Return the fields of a step whose tokens are all read; raise TransformError where one excludes others."""
        # The order of the table, so that the later of two rows for one field (c and cm) wins.
        fields = {row.name: found[row.key] for row in self.known().values() if row.key in found}
        # What only says how the result is written has no place in the order of steps.
        shares = bool(found.keys() & {PRESET} or fields.keys() - _OUTPUT_NAMES)
        if condition and (shares or layers):
            raise fault(first, "shares its step with a condition, which stands alone; separate them with ':'")
        if shares and any(map(variables_of, layers)):
            raise fault(
                first, "shares its step with a layer of expressions, which stands alone; separate them with ':'"
            )
        if condition:
            fields["condition"] = condition
        if layers:
            fields["layers"] = tuple(layers)
        return merged(found.get(PRESET, []), fields, first)

    def count_step(self, token: Token) -> None:
        """Raise TransformError for a step too many."""
        self.count += 1
        if self.count > self._most:
            raise fault(token, f"is step {self.count}; limits.steps is {self._most}")

    def known(self) -> Mapping[str, Parameter]:
        """Return the parameters that are understood at this place."""
        if not self._layers:
            return BY_KEY
        return BY_TEXT_KEY if self._layers[-1] == "text" else BY_LAYER_KEY

    def read_condition(self, token: Token) -> Conditional:
        """Read ``if-TESTS,STEPS,if-else,STEPS,if-end``."""
        tests = read_tests(token.text[3:])
        if tests is None:
            raise fault(
                token, "is not a condition: write if-w_gt_300, with and, or: eq ne gt gte lt lte of w h ar iw ih iar"
            )
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise fault(token, f"lies more than {MAX_CONDITIONS} conditions deep")
        then, end = self.read_chain(_BRANCH_ENDS)
        self._next += 1
        otherwise: list[Fields] = []
        if end == "if-else":
            otherwise, _ = self.read_chain(("if-end",))
            self._next += 1
        self._conditions -= 1
        for step in (*then, *otherwise):
            for name in step.keys() & {"original", "default_image"}:
                raise fault(
                    token, f"has {name.replace('_', ' ')} in a branch, which is asked for before a size is known"
                )
            for name in step.keys() & _LAYER_ONLY:
                what = name.partition("_")[2] or name
                raise fault(token, f"has {what} in a branch, which is said of the whole layer: write it before if-")
        if self._layers:
            then, otherwise = pixel_steps(token, then), pixel_steps(token, otherwise)
        return Conditional(tests, Branch(*built(then)), Branch(*built(otherwise)))

    def read_layer(self, token: Token) -> Layer:
        """Read ``l-image,…,l-end`` or ``l-text,…,l-end``."""
        kind = token.text[2:]
        if kind not in {"image", "text"}:
            what = {"video": "videos", "subtitles": "subtitles"}.get(kind)
            does = f"asks for {what}, which s3img does not do" if what else "begins no layer: write l-image or l-text"
            raise fault(token, does)
        self._layers.append(kind)
        if len(self._layers) > MAX_DEPTH:
            raise fault(token, f"lies more than {MAX_DEPTH} layers deep")
        chain, _ = self.read_chain(("l-end",))
        self._next += 1
        self._layers.pop()
        return layer_of(token, kind, chain)

    def read_value(self, key: str, token: Token) -> object:
        """Read the value of a parameter; raise TransformError that suggests the nearest one."""
        known = self.known()
        parameter = known.get(key)
        text = token.text[len(key) + 1 :]
        if parameter is None:
            if key in REFUSED:
                raise fault(token, f"asks for {REFUSED[key]}, which s3img does not do")
            if key in BY_TEXT_KEY:
                raise fault(token, "belongs into a layer: l-image,i-KEY,…,l-end or l-text,i-TEXT,…,l-end")
            near = closest(key, [*known, *BY_NAME])
            row = known.get(near) or BY_NAME.get(near)
            suggestion = "" if row is None else f"{row.key}-{text}" if text else row.key
            raise fault(token, "is not a known parameter", suggestion)
        value = parameter.kind.read(text)
        if value is not None and token.text != f"{key}-":
            if not self._layers and variables_of(value) & PARENT_VARIABLES:
                raise fault(token, "has bw, bh or bar, which are known only inside layers")
            return value
        if text.startswith(REFUSED_VALUES.get(key, ())):
            raise fault(token, "is a value of ImageKit that s3img does not do")
        near = parameter.kind.near(text)
        raise fault(token, f"needs another value: {parameter.kind.words}", f"{key}-{near}" if near else "")

    def read_preset(self, token: Token) -> list[Fields]:
        """Read what a preset stands for; it can't name another one."""
        name = token.text[len(PRESET) + 1 :]
        if name not in self._presets:
            near = closest(name, self._presets)
            raise fault(token, "names no preset of the configuration", f"{PRESET}-{near}" if near else "")
        reader = ChainReader(self._presets[name], {}, self._most)
        try:
            steps = reader.read_all()
        except TransformError as error:
            raise fault(token, f"stands for {self._presets[name]!r}, which is not understood: {error}") from None
        self.count += max(0, reader.count - 1)  # one is counted where the step ends
        return steps


def built(fields: Iterable[Mapping[str, Any]]) -> tuple[tuple[Step, ...], Output]:
    """Sort fields into steps and output; where steps disagree about the output, the last one wins."""
    steps: list[Step] = []
    written: dict[str, Any] = {}
    for step in fields:
        written |= {name: value for name, value in step.items() if name in _OUTPUT_NAMES}
        steps.append(Step(**{name: value for name, value in step.items() if name not in _OUTPUT_NAMES}))
    return tuple(steps), Output(**written)


def pixel_steps(token: Token, chain: list[Fields]) -> list[Fields]:
    """Return the steps of a layer's chain, which is not written to a file; raise TransformError for words about that.

    ImageKit lets a layer have a quality; it has no effect.
    """
    for fields in chain:
        if refused := fields.keys() & _OUTPUT_NAMES - {"quality"}:
            raise fault(token, f"has {', '.join(sorted(refused))}, which belongs to the result: write it outside")
    return [{name: value for name, value in fields.items() if name != "quality"} for fields in chain]


def split_layer(token: Token, chain: list[Fields]) -> tuple[Fields, list[Fields]]:
    """Return what a layer says of itself, and its steps; raise TransformError for what it can't say."""
    own: Fields = {}
    steps: list[Fields] = []
    for fields in pixel_steps(token, chain):
        for name in fields.keys() & _LAYER_ONLY:
            if name in own:
                raise fault(token, f"has {name.partition('_')[2] or name} twice")
            own[name] = fields[name]
        steps.append({name: value for name, value in fields.items() if name not in _LAYER_ONLY})
    return own, steps


def layer_of(token: Token, kind: str, chain: list[Fields]) -> Layer:
    """Make a layer of what stands between ``l-image`` or ``l-text`` and ``l-end``."""
    own, steps = split_layer(token, chain)
    shown = own.get("encoded") or own.get("input")  # ImageKit lets ie- win over i-
    content: Content
    if kind == "text":
        content = text(token, shown, own, steps)
    elif not shown:
        raise fault(token, "names no picture: write i-KEY or ie-BASE64 in the layer", "l-image,i-logo.png,l-end")
    elif shown == CANVAS:
        content = canvas(token, own, steps[0])
    else:
        content = shown
        if not any("trim" in step for step in steps):
            if "condition" in steps[0]:
                steps.insert(0, {})
            steps[0]["trim"] = DEFAULT_TRIM  # pictures laid over others are trimmed unless t-false says otherwise
        if "layer_alpha" in own:
            steps.append({"opacity": own["layer_alpha"] * 10})
    if unknown := sorted(variables_of(content) - PARENT_VARIABLES):
        raise fault(token, f"has {unknown[0]}, which is not known before it is drawn: write bw, bh or bar")
    position = Position(**{name.removeprefix("layer_"): own[name] for name in POSITION_NAMES if name in own})
    return Layer(
        content=content,
        steps=tuple(Step(**step) for step in steps),
        position=position,
        mode=own.get("layer_mode"),
    )


def text(token: Token, shown: str | None, own: Fields, steps: list[Fields]) -> Text:
    """Make a text; it takes its background out of the steps."""
    if not shown:
        raise fault(token, "has no text: write i-TEXT or ie-BASE64 in the layer", "l-text,i-Hello,l-end")
    backgrounds = [step.pop("background") for step in steps if "background" in step]
    if len(backgrounds) > 1:
        raise fault(token, "has background twice")
    fields = {name.removeprefix("text_"): value for name, value in own.items() if name in TEXT_NAMES}
    fields |= dict.fromkeys(own.get("text_style", ()), True)
    return Text(text=shown, background=backgrounds[0] if backgrounds else None, **fields)


def canvas(token: Token, own: Fields, first: Fields) -> Canvas:
    """Make a block of colour; it takes its own words out of ``first``, the fields of the layer's first step."""
    color = first.pop("background", None)
    if not isinstance(color, Color | None):
        raise fault(token, "has a background that is not a colour")
    if color is None:  # with a gradient, what it does not cover is the parent
        color = Color(0, 0, 0, 0 if "gradient" in first else 100)
    if color.alpha == 100 and "layer_alpha" in own:
        color = Color(*color.rgba[:3], own["layer_alpha"] * 10)
    width = first.pop("width", None)
    return Canvas(color, None if width == "auto" else width, first.pop("height", None))


def tokens_of(text: str) -> Iterator[Token]:
    """Split at ``:`` into steps and at ``,`` into tokens; leave out empty ones.

    Separators may be percent-encoded all together; where one is literal, encoded ones belong to a value.
    """
    prefix = _PREFIX.match(text)
    position = prefix.end() if prefix else 0
    separator = _LITERAL if _LITERAL.search(text, position) else _ENCODED
    waiting: Token | None = None
    for word, mark in joined_ratios(separator.split(text[position:])):
        ends_step = mark in _COLONS or not mark
        if word:
            if waiting:
                yield waiting
            waiting = Token(word, position, ends_step)
        elif waiting and ends_step:
            waiting = waiting._replace(ends_step=True)
        position += len(word) + len(mark)
    if waiting:
        yield waiting


def joined_ratios(parts: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each word and the mark that ends it; join ``ar-4`` ``:`` ``3``, which is one word."""
    parts.append("")
    index = 0
    while index < len(parts):
        word, mark = parts[index], parts[index + 1]
        if mark in _COLONS and _RATIO_BEGIN.fullmatch(word) and _RATIO_END.fullmatch(parts[index + 2]):
            word, mark = word + mark + parts[index + 2], parts[index + 3]
            index += 2
        yield word, mark
        index += 2


def decoded(token: Token) -> Token:
    """Percent-decode a token, and write its key as all others do; raise TransformError for one that is not UTF-8."""
    if token.text.startswith(_NODE_DENSITY):
        return token._replace(text=f"dn-{token.text.removeprefix(_NODE_DENSITY)}")
    if "%" not in token.text:
        return token
    try:
        return token._replace(text=unquote(token.text, errors="strict"))
    except UnicodeDecodeError:
        raise fault(token, "is not UTF-8 when percent-decoded") from None


def merged(preset: list[Fields], fields: Fields, token: Token) -> list[Fields]:
    """Let what is written in a step replace what its preset says."""
    if len(preset) <= 1:
        return [dict(*preset) | fields]
    if fields:
        raise fault(token, "stands in one step with a preset of several; separate them with ':'")
    return preset


def key_of(text: str) -> str:
    """Return the key of a token: effects have a ``-`` in theirs."""
    if text in BY_KEY:
        return text
    begin = text.find("-", 2) if text.startswith("e-") else text.find("-")
    return text if begin < 0 else text[:begin]


def fault(token: Token, problem: str, suggestion: str = "") -> TransformError:
    """Return the error for a token."""
    shown = token.text if len(token.text) <= 60 else f"{token.text[:60]}…"
    return TransformError(
        f"{shown!r} at {token.position} {problem}.", token=token.text, position=token.position, suggestion=suggestion
    )
