"""Layers and conditions as text and as values: one form for each meaning, bounds before work, exact sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.errors import TransformError
from s3img.transform import Transform
from s3img.transform.overlays import Canvas, Position

CANONICAL = {
    "w-300,h-300,l-image,i-logo.png,w-10,rt-90,l-end": "w-300,h-300,l-image,i-logo.png,w-10,rt-90,l-end",
    "l-image,i-/path/to/overlay.png,l-end": "l-image,i-path@@to@@overlay.png,l-end",
    "l-image,ie-Y3VzdG9tZXIvbG9nby5wbmc%3D,l-end": "l-image,i-customer@@logo.png,l-end",
    "l-image,i-no.png,ie-eWVzLnBuZw==,l-end": "l-image,i-yes.png,l-end",
    "l-image,i-a b.png,l-end": "l-image,ie-YSBiLnBuZw,l-end",
    "l-image,lx-N5,t-true,i-a,l-end": "l-image,i-a,lx-N5,l-end",
    "l-image,i-a,t-false,l-end": "l-image,i-a,t-false,l-end",
    "l-image,i-a,q-50,l-end": "l-image,i-a,l-end",
    "l-image,i-a:if-w_gt_3,w-9,if-end,l-end": "l-image,i-a:if-w_gt_3,w-9,if-end,l-end",
    "l-image,i-a,w-9,l-image,i-b,l-image,i-c,l-end,l-end,l-end,rt-90": (
        "rt-90,l-image,i-a,w-9,l-image,i-b,l-image,i-c,l-end,l-end,l-end"
    ),
    "l-image,i-a,w-bw_div_3,lx-bw_mul_0.1:l-image,i-b,w-bw_div_2,l-end,l-end": (
        "l-image,i-a,lx-bw_mul_0.1,w-bw_div_3:l-image,i-b,w-bw_div_2,l-end,l-end"
    ),
    "l-image,i-ik_canvas,bg-FF0000,al-5,w-bw_mul_0.5,l-end": "l-image,i-ik_canvas,bg-FF000050,w-bw_mul_0.5,l-end",
    "density-idn_mul_2": "dn-idn_mul_2",
    "w-9,density-300": "w-9,dn-300",
    "l-image,i-ik_canvas,bg-FF0000,al-0.5,l-end": "l-image,i-ik_canvas,bg-FF000050,l-end",
    "l-text,i-a,al-0.7,l-end": "l-text,i-a,o-70,l-end",
    # ImageKit: "If bg is set to a standard color name, then the al value is ignored."
    "l-image,i-ik_canvas,bg-red,al-5,l-end": "l-image,i-ik_canvas,bg-FF0000,l-end",
    # ImageKit's libraries write the colour of a block first, and what its transformation says of it behind.
    "l-image,i-ik_canvas,bg-FF0000,w-bw_mul_0.5,al-0.5,bg-red,l-end": "l-image,i-ik_canvas,bg-FF0000,w-bw_mul_0.5,l-end",
    "l-image,i-ik_canvas,bg-red,al-5,bg-00FF00,l-end": "l-image,i-ik_canvas,bg-00FF0050,l-end",
    "l-image,i-a,bg-red,al-5,l-end": "l-image,i-a,bg-FF0000:o-50,l-end",
    "l-image,i-ik_canvas,al-5,l-end": "l-image,i-ik_canvas,bg-00000050,l-end",
    "l-text,i-a,bg-red,al-5,l-end": "l-text,i-a,bg-FF0000,o-50,l-end",
    "l-image,i-a,w-9,al-5,l-end": "l-image,i-a,w-9:o-50,l-end",
    "l-image,i-a,lx--10,ly-N0,l-end": "l-image,i-a,lx-N10,ly-N0,l-end",
    "l-text,i-a,fs-32.5,l-end": "l-text,i-a,fs-33,l-end",
    "l-image,i-ik_canvas,bg-FF000030,al-5,l-end": "l-image,i-ik_canvas,bg-FF000030,l-end",
    "l-image,i-ik_canvas,l-end": "l-image,i-ik_canvas,bg-000000,l-end",
    "l-image,i-ik_canvas,e-gradient,l-end": "l-image,i-ik_canvas,bg-00000000,e-gradient,l-end",
    "if-w_gt_300,w-100,if-end": "if-w_gt_300,w-100,if-end",
    "if-ar_eq_4-3_and_w_gt_100.5_or_h_lte_7,w-100:rt-90,q-50,if-else,f-webp,if-end:w-20": (
        "if-ar_eq_4-3_and_w_gt_100.5_or_h_lte_7,w-100:rt-90,q-50,if-else,f-webp,if-end:w-20"
    ),
    "if-w_gt_300,rt-0,if-end,": "",
    "f-png,if-w_gt_300,w-9,if-end": "if-w_gt_300,w-9,if-end,f-png",
    "l-image,i-a,w-bw,l-end,q-5": "l-image,i-a,w-bw,l-end,q-5",
    "if-w_gt_1,if-h_gt_2,w-3,if-end,if-end": "if-w_gt_1,if-h_gt_2,w-3,if-end,if-end",
    "h-1%2Cl-image%2Ci-a%2Cl-end": "h-1,l-image,i-a,l-end",
}

REFUSED = {
    "l-image,i-a": "l-end is missing",
    "if-w_gt_3,w-1": "if-end is missing",
    "l-end": "begins no layer",
    "l-foo,l-end": "begins no layer",
    "l-image,w-5,l-end": "names no picture",
    "l-image,i-a,lx-5:lx-6,l-end": "has x twice",
    "l-image,i-..@@a,l-end": "needs another value",
    "l-image,ie-!!,l-end": "needs another value",
    "l-image,i-a,bg-red,bg-blue,l-end": "gives bg a second time",
    "l-image,i-a,f-png,l-end": "belongs to the result",
    "l-image,i-a,if-w_gt_3,f-png,if-end,l-end": "belongs to the result",
    "l-image,i-a,if-w_gt_3,w-1,if-else,md-true:bl-1,if-end,l-end": "belongs to the result",
    "l-text,i-a,if-w_gt_3,if-h_gt_3,lo-true,if-end,if-end,l-end": "belongs to the result",
    "l-text,i-a,fs-iw_div_2,l-end": "iw, which is not known before it is drawn: write bw, bh or bar",
    "l-text,i-a,w-bw_div_2,pa-ch_mul_0.1,l-end": "ch, which is not known before it is drawn",
    "l-image,i-ik_canvas,w-bw_div_2,h-ih,l-end": "ih, which is not known before it is drawn",
    "l-image,i-a,lso-5,l-end": "video",
    "l-video,i-a.mp4,l-end": "videos",
    "l-subtitles,i-a.srt,l-end": "subtitles",
    "l-image,i-ik_canvas,bg-dominant,l-end": "not a colour",
    "lx-5": "into a layer",
    "w-bw_div_2": "only inside layers",
    "e-gradient-sp-bw_div_2": "only inside layers",
    "h-100,if-h_eq_200,w-100,if-end": "stands alone",
    "if-h_eq_200,w-100,if-end,h-100": "stands alone",
    "dpr-2,w-9,l-image,i-x.png,w-bw_mul_0.4,l-end": "stands alone",
    "if-x_gt_3,w-1,if-end": "not a condition",
    "if-w_above_3,w-1,if-end": "not a condition",
    "if-ar_gt_4-0,w-1,if-end": "not a condition",
    "if-w_gt_3,orig-true,if-end": "before a size is known",
    "l-image,i-a,l-image,i-b,l-image,i-c,l-image,i-d": "3 layers deep",
    "if-w_gt_1," * 4 + "w-1": "3 conditions deep",
    ":".join(["l-image,i-a,l-end"] * 21): "limits.steps is 20",
    "l-image,i-a,l-end," * 400: "limits.steps is 20",
    "l-image," * 900: "3 layers deep",
    "if-" + "_and_".join(["w_gt_1"] * 17) + ",w-1,if-end": "not a condition",
}


@pytest.mark.parametrize(("text", "canonical"), CANONICAL.items())
def test_every_spelling_has_one_canonical_form(text: str, canonical: str) -> None:
    transform = Transform.parse(text)
    assert str(transform) == canonical
    assert Transform.parse(canonical) == transform


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=lambda value: value[:40])
def test_what_is_wrong_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(TransformError, match=message):
        Transform.parse(text)


def test_inputs_are_the_pictures_of_all_layers_once() -> None:
    text = (
        "l-image,i-a,l-image,i-b,l-end,l-end,l-image,i-a,l-end:l-image,i-ik_canvas,l-end:"
        "if-w_gt_1,l-image,i-c,l-end,if-end"
    )
    assert Transform.parse(text).inputs == ("a", "b", "c")


keys = st.text(
    st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="/%,:"), min_size=1, max_size=8
)
words = st.sampled_from(
    ["w-10", "h-bh_div_2", "lx-5", "ly-N5", "lxc-bw_div_2", "lap-center", "lfo-top", "lm-cutout", "rt-90", "t-false",
     "t-5", "bg-red", "al-3", "r-max", "o-50", "e-gradient", ":w-3", ":if-w_gt_2,h-3,if-end:", "l-image,i-b,l-end"]
)  # fmt: skip


@given(keys.filter(lambda key: key.strip(".@")), st.lists(words, unique=True, max_size=5))
def test_layers_round_trip(key: str, parts: list[str]) -> None:
    try:
        transform = Transform.parse(",".join(["l-image", f"i-{key}", *parts, "l-end"]))
    except TransformError:
        return
    assert Transform.parse(str(transform)) == transform
    assert str(Transform.parse(str(transform))) == str(transform)


pieces = st.lists(
    st.sampled_from(
        ["l-image", "l-end", "i-a", "i-ik_canvas", "if-w_gt_1", "if-else", "if-end", "w-9", ",", ":", "bg-red", "n-a"]
    )
).map(",".join)


@pytest.mark.parametrize(
    "text",
    [
        "l-image,if-w_gt_1,i-a,if-end",
        "l-image,i-b,if-w_gt_1,lx-3,if-end,l-end",
        "l-image,i-b,if-w_gt_1,w-9,if-else,lm-multiply,if-end,l-end",
        "l-text,i-b,if-w_gt_1,fs-30,if-end,l-end",
    ],
)
def test_what_is_said_of_a_whole_layer_has_no_place_in_a_condition(text: str) -> None:
    with pytest.raises(TransformError, match="is said of the whole layer"):
        Transform.parse(text)


@given(pieces)
def test_any_order_of_pieces_is_a_transform_or_an_error(text: str) -> None:
    try:
        transform = Transform.parse(text, presets={"a": "l-image,i-b,l-end"})
    except TransformError as error:
        place = error.position
        assert 0 <= place <= len(text)
    else:
        assert Transform.parse(str(transform)) == transform


@pytest.mark.parametrize(
    ("text", "source", "size"),
    [
        ("if-w_gt_300,w-100,if-else,w-50,if-end", (400, 200), (100, 50)),
        ("if-w_gt_300,w-100,if-else,w-50,if-end", (300, 200), (50, 33)),
        ("if-ar_eq_4-3,w-100,if-end", (1024, 768), (100, 75)),
        ("if-ar_eq_1.333,w-100,if-end", (1024, 768), (1024, 768)),
        ("w-200:if-w_eq_200_and_iw_eq_400,h-10,if-end", (400, 200), (20, 10)),
        ("w-200:if-iar_lt_2_or_h_gte_100,h-10,if-end", (400, 200), (20, 10)),
        ("if-w_ne_400_or_h_eq_200_and_w_lte_400,w-7,if-end:h-14", (400, 200), (25, 14)),
        ("if-h_lt_100,rt-90,if-else,if-w_gt_100,w-50:rt-90,if-end,if-end", (400, 200), (25, 50)),
        ("w-100,l-image,i-huge.png,w-9999,l-end", (400, 200), (100, 50)),
    ],
)
def test_size_follows_the_branch_and_no_layer(text: str, source: tuple[int, int], size: tuple[int, int]) -> None:
    assert Transform.parse(text).output_size(source) == size


def test_a_branch_decides_the_output() -> None:
    transform = Transform.parse("if-w_gt_300,q-50,if-else,f-webp,if-end:w-9,q-70")
    assert str(transform.settled((400, 300))) == "w-9,q-50"
    assert str(transform.settled((200, 300))) == "w-9,f-webp,q-70"


@pytest.mark.parametrize(
    ("position", "place"),
    [
        ({}, (40, 20)),
        ({"focus": "bottom_right"}, (80, 40)),
        ({"focus": "top"}, (40, 0)),
        ({"x": 5, "focus": "bottom"}, (5, 0)),
        ({"x": -10, "y": 7}, (70, 7)),
        ({"x": 999, "y": -999}, (80, 0)),
        ({"xc": 50, "yc": 25}, (40, 20)),
        ({"xc": -30}, (60, 0)),
        ({"x": "N0", "y": "N0"}, (80, 40)),
        ({"xc": "N0", "y": 4}, (80, 4)),
        ({"x": "N0", "y": 0, "anchor": "center"}, (50, 25)),
        ({"x": 3, "xc": 50}, (3, 0)),
        ({"x": -10, "y": 5, "anchor": "center"}, (40, 30)),
        ({"xc": 0, "yc": 0, "anchor": "center"}, (40, 20)),
    ],
)
def test_a_layer_lies_inside_its_parent(position: dict[str, object], place: tuple[int, int]) -> None:
    assert Position(**position).place((20, 10), (100, 50), lambda value: value) == place  # type: ignore[arg-type]


def test_a_layer_larger_than_its_parent_covers_it() -> None:
    assert Position(x=20, y=-300).place((200, 100), (100, 50), lambda value: value) == (0, -50)  # type: ignore[arg-type, return-value]


def test_a_block_has_the_sides_it_names() -> None:
    layer = Transform.parse("l-image,i-ik_canvas,bg-red,w-0.5,l-end").steps[0].layers[0]
    assert isinstance(layer.content, Canvas)
    assert (layer.content.width, layer.content.height, layer.steps) == (0.5, None, ())


FONT_FILES = {"Lato": "f/l.ttf", "Lato-Bold": "f/lb.ttf", "Lora-Italic": "f/li.ttf", "Lora": "f/lo.ttf"}


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("ff-Lato", "ff-f@@l.ttf"),
        ("ff-Lato,tg-b", "ff-f@@lb.ttf"),
        ("ff-Lato,tg-b_i", "ff-f@@lb.ttf,tg-i"),
        ("ff-Lato,tg-i_strikethrough", "ff-f@@l.ttf,tg-i_strikethrough"),
        ("ff-Lora,tg-b_i", "ff-f@@li.ttf,tg-b"),
        ("ff-Lora,tg-b", "ff-f@@lo.ttf,tg-b"),
        ("ff-Roboto", "ff-Roboto"),
        ("ff-a.ttf,tg-b", "ff-a.ttf,tg-b"),
        ("fs-9", "fs-9"),
    ],
)
def test_names_of_fonts_become_files_of_their_cut(asked: str, wanted: str) -> None:
    found = Transform.parse(f"l-text,i-A,{asked},l-end").with_fonts(FONT_FILES)
    assert str(found) == f"l-text,i-A,{wanted},l-end"
    assert Transform.parse(str(found)) == found


def test_fonts_are_named_everywhere_in_a_chain() -> None:
    text = "l-text,i-A,ff-Lato,l-end"
    chain = f"w-9,l-image,i-a.png:{text},l-end:if-w_gt_3,{text},if-else,{text},if-end"
    assert Transform.parse(chain).with_fonts(FONT_FILES).inputs == ("a.png", "f/l.ttf")
