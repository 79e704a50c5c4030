"""The lock's text form: one line per image, stable, and clear about what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from s3img import Config
from s3img.assets import Asset, ImageFacts
from s3img.config import Quality
from s3img.errors import FileUnwritable, LockError
from s3img.keys import KeyTemplate
from s3img.lock import HEADER, Lock, LockedVariants, LockEntry, VariantSettings, read_lock, recipe, write_lock
from s3img.pictures.variants import VariantRequest, choose

if TYPE_CHECKING:
    from pathlib import Path

CAT = LockEntry("img/cat.jpg", "a" * 64, 12345, 3000, 2000, "image/jpeg", "img/cat.aaaaaaaa.jpg")
DOG = LockEntry("img/dog.png", "b" * 64, 99, 30, 20, "image/png", "img/dog.bbbbbbbb.png", "#c0ffee")
LINES = f"""{HEADER}
img/cat.jpg {"a" * 64} 12345 3000x2000 image/jpeg img/cat.aaaaaaaa.jpg -
img/dog.png {"b" * 64} 99 30x20 image/png img/dog.bbbbbbbb.png #c0ffee
"""

NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1) | st.binary(min_size=1).map(
    lambda raw: raw.decode("utf-8", "surrogateescape")
)
FORMATS = ("avif", "webp", "jpeg", "png", "gif")
WIDTHS = st.lists(st.integers(1, 99999), min_size=1, max_size=5, unique=True).map(lambda found: tuple(sorted(found)))
VARIANTS = st.builds(
    LockedVariants,
    st.text("0123456789abcdef", min_size=8, max_size=8),
    st.lists(st.tuples(st.sampled_from(FORMATS), WIDTHS), max_size=3, unique_by=lambda pair: pair[0]).map(tuple),
)
ENTRIES = st.builds(
    LockEntry,
    path=NAMES,
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    size=st.integers(0, 10**12),
    width=st.integers(0, 99999),
    height=st.integers(0, 99999),
    media_type=st.sampled_from(["image/jpeg", "image/svg+xml", "image/vnd.microsoft.icon"]),
    key=NAMES,
    placeholder=st.sampled_from(["", "#000000", "#c0ffee"]),
    variants=st.none() | VARIANTS,
)


def test_text_has_one_sorted_line_per_image() -> None:
    assert str(Lock.of([DOG, CAT])) == LINES


def test_text_is_read_back() -> None:
    lock = Lock.parse(LINES)
    assert list(lock) == [CAT, DOG]
    assert lock.get("img/dog.png") == DOG
    assert lock.get("img/cow.png") is None
    assert lock.keys() == {CAT.key, DOG.key}


@given(st.lists(ENTRIES, max_size=6))
def test_any_name_survives(entries: list[LockEntry]) -> None:
    lock = Lock.of(entries)
    text = str(lock)
    assert Lock.parse(text) == lock
    assert text.count("\n") == len(text.splitlines()) == len(lock) + 1


@given(VARIANTS)
def test_any_variants_survive(variants: LockedVariants) -> None:
    assert LockedVariants.parse(str(variants)) == variants


@pytest.mark.parametrize(
    "text",
    ["5052430", "50524302", "50524302:", "50524302:avif", "50524302:avif=", "50524302:avif=640,320", "XY524302:-"]
    + ["50524302:avif=0", "50524302:avif=320;", "50524302:avif=320;avif=640", "50524302:avif=320,320", "50524302:-;-"],
)
def test_damaged_variants_are_named_by_its_line(text: str) -> None:
    with pytest.raises(LockError, match=r"s3img\.lock:2: ") as caught:
        Lock.parse(f"{HEADER}\n{CAT} {text}\n")
    assert caught.value.line == 2


def test_variants_are_the_eighth_field() -> None:
    line = f"{CAT} 50524302:avif=320,640;webp=320,640;jpeg=640"
    entry = LockEntry.parse(line)
    assert (str(entry), entry.variants) == (
        line,
        LockedVariants("50524302", (("avif", (320, 640)), ("webp", (320, 640)), ("jpeg", (640,)))),
    )


def test_recipe_changes_with_every_quality() -> None:
    qualities = (Quality(), Quality(jpeg=81), Quality(webp=81), Quality(avif=81))
    recipes = {recipe(Config(quality=quality)) for quality in qualities}
    recipes |= {recipe(Config(subsampling=subsampling)) for subsampling in ("auto", "4:4:4", "4:2:0")}
    assert len(recipes) == 6
    assert all(len(text) == 8 for text in recipes)


@pytest.mark.parametrize("subsampling", ["auto", "4:4:4", "4:2:0"])
@pytest.mark.parametrize("template", ["{{dir}}/{{stem}}.{{hash:8}}.{{ext}}", "{{hash}}-{{width}}x{{height}}.{{ext}}"])
@pytest.mark.parametrize(("size", "kind"), [((3000, 2001), "jpeg"), ((701, 3), "png"), ((1300, 999), "gif")])
def test_keys_are_those_that_publishing_gives(
    template: str, size: tuple[int, int], kind: str, subsampling: Any
) -> None:
    config = Config(key_template=template, quality=Quality(avif=40), subsampling=subsampling)
    asset = Asset("img/a cat.x", "a" * 64, 12345, ImageFacts(f"image/{kind}", *size))
    variants = choose(asset, VariantRequest(), config, KeyTemplate.parse(template))
    formats = tuple((name, tuple(variant.width for variant in found)) for name, found in variants.formats.items())
    entry = LockEntry(
        asset.path, asset.digest, 12345, *size, "image/x", "k", variants=LockedVariants(recipe(config), formats)
    )
    lock = Lock.parse(str(Lock.of([entry], settings=VariantSettings.of(config))))
    assert lock.keys() == {"k", *(variant.key for variant in variants.variants)}


def test_settings_of_variants_are_written_where_they_are_not_the_usual() -> None:
    variants = LockedVariants("50524302", (("webp", (100,)),))
    entry = structs.replace(CAT, variants=variants)
    settings = VariantSettings((100, 200), ("webp",), "{{dir}}/x {{stem}}.{{hash:8}}.{{ext}}")
    lock = Lock.of([entry], settings=settings)
    line = "# variants: widths=100,200 formats=webp key={{dir}}/x {{stem}}.{{hash:8}}.{{ext}}"
    assert str(lock).splitlines()[1] == line
    assert Lock.parse(str(lock)) == lock
    assert str(Lock.of([entry])).count("\n") == 2
    assert str(Lock.of([CAT], settings=settings)).count("\n") == 2


@pytest.mark.parametrize("line", ["# variants:", "# variants: widths=1 formats=- key={{no}}", "# variants: widths=0"])
def test_damaged_settings_are_named_by_their_line(line: str) -> None:
    with pytest.raises(LockError, match=r"s3img\.lock:2: "):
        Lock.parse(f"{HEADER}\n{line}\n{CAT}\n")


def test_settings_are_read_where_the_last_line_end_is_missing() -> None:
    lock = Lock.of([LockEntry.parse(f"{CAT} 50524302:avif=320")], settings=VariantSettings(widths=(320,)))
    assert Lock.parse(str(lock).removesuffix("\n")) == lock
    with pytest.raises(LockError, match=r"s3img\.lock:2: "):
        Lock.parse(f"{HEADER}\n# variants:\n{CAT}")


def test_two_settings_are_an_error() -> None:
    first, second = (VariantSettings(widths=(width,)) for width in (1, 2))
    with pytest.raises(LockError, match="two different lines"):
        Lock.parse(f"{HEADER}\n{first}\n{second}\n")


def test_line_whose_keys_nothing_could_name_loses_its_variants() -> None:
    entry = LockEntry.parse(f"{CAT} 50524302:avif=320")
    lock = Lock.of([entry])
    assert list(lock.updated([DOG], settings=VariantSettings(widths=(100,)))) == [entry, DOG]
    assert list(lock.updated([DOG], settings=VariantSettings(key_template="{{hash}}.{{ext}}"))) == [CAT, DOG]


@given(st.lists(ENTRIES, max_size=6))
def test_order_of_building_does_not_matter(entries: list[LockEntry]) -> None:
    distinct = {entry.path: entry for entry in entries}.values()
    assert str(Lock.of(distinct)) == str(Lock.of(reversed(list(distinct))))


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("my cat.jpg", "my%20cat.jpg"),
        ("été/猫.jpg", "été/猫.jpg"),
        ('a"b\\c#d%e.jpg', "a%22b%5Cc%23d%25e.jpg"),
        ("a\nb\r\tc.jpg", "a%0Ab%0D%09c.jpg"),
        ("a\u2028b\u202ec.jpg", "a%E2%80%A8b%E2%80%AEc.jpg"),
        ("caf\udce9.jpg", "caf%E9.jpg"),
        ("<<<<<<< a.jpg", "<<<<<<<%20a.jpg"),
    ],
)
def test_path_is_escaped_only_where_needed(path: str, shown: str) -> None:
    entry = LockEntry(path, "a" * 64, 1, 1, 1, "image/png", "k.png")
    assert str(entry).split(" ")[0] == shown
    assert LockEntry.parse(str(entry)) == entry


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_comments_blank_lines_and_line_ends_do_not_matter(ending: str) -> None:
    text = LINES.replace("\nimg/dog", "\n\n# a note\nimg/dog").replace("\n", ending)
    assert Lock.parse(text) == Lock.of([CAT, DOG])


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("img/cat.jpg a", "<<<<<<< HEAD\nimg/cat.jpg a", 2, "merge conflict"),
        ("img/dog.png b", "=======\nimg/dog.png b", 3, "merge conflict"),
        ("img/dog.png b", "||||||| 1234\nimg/dog.png b", 3, "merge conflict"),
        ("#c0ffee\n", "#c0ffee\n>>>>>>> their branch\n", 4, "merge conflict"),
        ("# s3img", "<<<<<<< HEAD\n# s3img", 1, "merge conflict"),
        (" 99 ", " -1 ", 3, "damaged"),
        (" 99 ", "  99 ", 3, "damaged"),
        ("#c0ffee", "#c0ffee extra", 3, "damaged"),
        (" 30x20 ", " 30 20 ", 3, "damaged"),
        (" #c0ffee", "", 3, "damaged"),
        ("img/dog.png b", "img/cat.jpg b", 3, "'img/cat.jpg' has two different lines"),
        (HEADER, "{}", 1, "is not a lock"),
        (f"{HEADER}\n", f"{HEADER} ", 1, "is not a lock"),  # it would have one line less
        ("\n", "\r", 1, "is not a lock"),
        ("lock/1", "lock/2", 1, "Upgrade"),
    ],
)
def test_damage_is_named_by_file_and_line(old: str, new: str, line: int, words: str) -> None:
    with pytest.raises(LockError, match=words) as caught:
        Lock.parse(LINES.replace(old, new, 1), name="web/s3img.lock")
    assert (caught.value.path, caught.value.line) == ("web/s3img.lock", line)
    assert str(caught.value).startswith("web/s3img.lock:")
    assert caught.value.fix


def test_union_merge_of_the_same_line_is_no_conflict() -> None:
    assert Lock.parse(LINES + str(DOG) + "\n") == Lock.of([CAT, DOG])


@pytest.mark.parametrize("other", [str(DOG).replace("img/dog.png b", "img/do%67.png b"), f"{DOG}\r"])
def test_one_line_that_is_written_in_two_ways_is_no_conflict(other: str) -> None:
    assert Lock.parse(f"{LINES}{other}\n") == Lock.of([CAT, DOG])


@pytest.mark.parametrize("place", range(3))
def test_damage_is_found_before_any_line_is_asked_for(place: int) -> None:
    lines = [str(structs.replace(CAT, path=f"{number}.jpg")) for number in range(3)]
    lines[place] += " extra"
    with pytest.raises(LockError, match="damaged") as caught:
        Lock.parse("\n".join([HEADER, *lines]))
    assert caught.value.line == place + 2


def test_lines_that_were_asked_for_are_written_like_those_that_were_not() -> None:
    text = "".join(f"{line}\n" for line in (HEADER, CAT, f"{DOG} 50524302:avif=320"))
    lock = Lock.parse(text)
    assert lock.get(CAT.path) == CAT
    assert str(lock) == text == str(Lock.of(lock))


@pytest.mark.parametrize(
    ("entries", "is_tidy"), [([], True), ([CAT, DOG], True), ([DOG, CAT], False), ([CAT, DOG, DOG], False)]
)
def test_lines_as_merges_leave_them_are_told(entries: list[LockEntry], *, is_tidy: bool) -> None:
    lock = Lock.parse("\n".join([HEADER, *map(str, entries)]))
    assert (lock.is_tidy, list(lock), lock.updated([]).is_tidy) == (is_tidy, list(Lock.of(entries)), True)


def test_update_adds_replaces_and_drops() -> None:
    cow = LockEntry("img/cow.gif", "c" * 64, 5, 1, 1, "image/gif", "img/cow.cccccccc.gif")
    assert list(Lock.of([CAT, DOG]).updated([cow], without=["img/cat.jpg"])) == [cow, DOG]


def test_missing_lock_is_an_error_unless_allowed(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="does not exist"):
        read_lock(tmp_path / "s3img.lock")
    assert len(read_lock(tmp_path / "s3img.lock", missing_ok=True)) == 0


@pytest.mark.parametrize(
    ("content", "words"), [(b"\xff\xfe", "not UTF-8"), (b"", "is not a lock"), (None, "can't be read")]
)
def test_unreadable_lock_is_an_error(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "s3img.lock"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(LockError, match=words):
        read_lock(path, missing_ok=True)


def test_written_lock_is_read_back_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_lock(tmp_path / "s3img.lock", Lock.of([CAT, DOG]))
    assert read_lock(tmp_path / "s3img.lock") == Lock.of([CAT, DOG])
    assert [file.name for file in tmp_path.iterdir()] == ["s3img.lock"]


def test_lock_that_can_not_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileUnwritable, match="can't be written: Not a directory"):
        write_lock(tmp_path / "file" / "s3img.lock", Lock())
