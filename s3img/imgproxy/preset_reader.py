"""Read the options in front of a source, and the presets that they name: for pictures and for ``/info`` alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from s3img.errors import TransformError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from s3img.imgproxy.arguments import Args

Reading = TypeVar("Reading")
_BESIDE_PRESETS = frozenset({"preset", "cachebuster", "expires"})


def long_names(spellings: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the long name of every spelling."""
    return {spelling: name for name, words in spellings.items() for spelling in words}


@dataclass(frozen=True, kw_only=True)
class PresetReader(ABC, Generic[Reading]):
    """Read options under one configuration into what ``begin`` returns; ``names`` has long names by spelling."""

    presets: Mapping[str, str] = field(default_factory=dict)
    only_presets: bool = False
    allowed_options: frozenset[str] = frozenset()
    allow_security_options: bool = False
    arguments_separator: str = ":"

    names: ClassVar[Mapping[str, str]]
    begin: ClassVar[Callable[[], Reading]]

    @abstractmethod
    def apply(self, reading: Reading, name: str, long: str, args: Args) -> None:
        """Apply one option that is not a preset; ``long`` is "" for an unknown one. Raise TransformError."""

    def check_options(self, options: list[tuple[str, Args]]) -> None:
        """Raise TransformError for options that must not stand in one address."""

    def check(self) -> None:
        """Raise TransformError for a preset that can't be applied."""
        for name in self.presets:
            self.apply_presets(type(self).begin(), [name])

    def read_options(self, segments: list[str]) -> tuple[Reading, bool, list[str]]:
        """Return what was read, and the segments of the source; raise TransformError, which names the option.

        The flag tells that presets alone say what is done, apart from a cache buster and an expiry.
        """
        reading = type(self).begin()
        if "default" in self.presets:
            self.apply_presets(reading, ["default"])
        if self.only_presets:
            self.apply_presets(reading, segments[0].split(self.arguments_separator))
            return reading, True, segments[1:]
        options, rest = self.split_options(segments)
        self.check_options(options)
        for name, args in options:
            if self.allowed_options and self.names.get(name, name) not in self.allowed_options:
                raise TransformError(f"{name}: this option is not among those allowed here.", token=name)
            self.apply_any(reading, name, args)
        long = {self.names.get(name, "") for name, _ in options}
        return reading, "preset" in long <= _BESIDE_PRESETS, rest

    def apply_any(self, reading: Reading, name: str, args: Args, used: tuple[str, ...] = ()) -> None:
        """Apply one option; ``used`` are the presets that are being applied."""
        long = self.names.get(name, "")
        if long == "preset":
            self.apply_presets(reading, args, used)
        else:
            self.apply(reading, name, long, args)

    def apply_presets(self, reading: Reading, names: Sequence[str], used: tuple[str, ...] = ()) -> None:
        """Apply presets one after the other; one that is being applied already is passed over, as in imgproxy."""
        for name in names:
            if name not in self.presets:
                raise TransformError(f"preset: {name[:80]!r} is not a preset here.", token=f"preset:{name[:80]}")
            if name in used:
                continue
            options, rest = self.split_options(self.presets[name].strip().split("/"))
            if rest:
                raise TransformError(f"preset {name}: {'/'.join(rest)!r} is not an option.", token=rest[0])
            for option, args in options:
                self.apply_any(reading, option, args, (*used, name))

    def split_options(self, segments: list[str]) -> tuple[list[tuple[str, Args]], list[str]]:
        """Take options off the front of an address: the first segment without an argument begins the source."""
        options: list[tuple[str, Args]] = []
        for at, segment in enumerate(segments):
            name, *args = segment.split(self.arguments_separator)
            if not args and segment != "-":
                return options, segments[at:]
            options.append((name, args))
        return options, []

    def allow_limits(self, name: str) -> None:
        """Raise TransformError where an option must not set a limit."""
        if not self.allow_security_options:
            raise TransformError(
                f"{name}: options that set limits are not allowed here (allow_security_options).", token=name
            )
