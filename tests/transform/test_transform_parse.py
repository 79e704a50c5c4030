"""What texts mean, and what a text that means nothing is told."""

from __future__ import annotations

import pytest

from s3img.errors import TransformError
from s3img.limits import Limits
from s3img.transform import Transform

ACCEPTED = {
    # forms of the whole text
    "": "",
    "tr:": "",
    "tr:w-300": "w-300",
    "?tr=w-300,h-200": "w-300,h-200",
    "tr=w-300": "w-300",
    "tr%3Aw-300%2Ch-200%3Art-90": "w-300,h-200:rt-90",
    "w-300%2ch-200%3art-90": "w-300,h-200:rt-90",
    "rt-90:w-400,h-300": "rt-90:w-400,h-300",
    ":w-300,,h-200,::rt-90:": "w-300,h-200:rt-90",
    # sides
    "w-0300": "w-300",
    "w-1": "w-1",
    "w-0.40": "w-0.4",
    "w-auto,dpr-auto": "w-auto,dpr-auto",
    "w-65535": "w-65535",
    "w-70000": "",
    "w-70000,h-300": "h-300",
    "w-70000,dpr-2": "",
    "w-300,dpr-1.0": "w-300",
    "w-300,dpr-1.50": "w-300,dpr-1.5",
    # ratios
    "ar-4-3,w-400": "w-400,ar-4-3",
    "ar-4_3,w-400": "w-400,ar-4-3",
    "ar-4:3,w-400": "w-400,ar-4-3",
    "w-400,ar-4:3": "w-400,ar-4-3",
    "w-400,ar-4:3:rt-90": "w-400,ar-4-3:rt-90",
    "w-400,ar-4%3A3": "w-400,ar-4-3",
    "w-400%2Car-4%3A3%3Art-90": "w-400,ar-4-3:rt-90",
    "w-400,ar-16-12": "w-400,ar-4-3",
    "w-400,ar-1.91-1": "w-400,ar-191-100",
    "w-400,ar-1.5": "w-400,ar-3-2",
    "w-400,ar-iar_div_2": "w-400,ar-iar_div_2",
    "w-400,h-300,ar-4-3": "w-400,h-300",
    # crops
    "w-300,h-200,c-maintain_ratio": "w-300,h-200",
    "w-300,h-200,c-pad_resize": "w-300,h-200,cm-pad_resize",
    "w-300,h-200,c-extract": "w-300,h-200,cm-extract",
    "w-300,h-200,c-pad_extract": "w-300,h-200,cm-pad_extract",
    "w-300,h-200,cm-pad_extract_no_shrink": "w-300,h-200,cm-pad_extract_no_shrink",
    "w-300,h-200,cm-extract,c-force": "w-300,h-200,cm-extract",
    "w-300,c-force": "w-300",
    "w-300,c-maintain_ratio_no_enlarge": "w-300,c-at_max",
    "c-at_max": "",
    # what ImageKit's older libraries and component libraries write
    "f-jpg,pr-true,e-sharpen,e-contrast-1": "e-contrast,e-sharpen,f-jpeg,pr-true",
    "e-grayscale-true": "e-grayscale",
    "e-grayscale-1,e-contrast-true": "e-grayscale,e-contrast",
    "w-300,h-200,c-maintain_ratio,fo-auto": "w-300,h-200,fo-auto",
    # places
    "w-300,h-200,fo-center": "w-300,h-200",
    "w-300,fo-left": "w-300",
    "w-300,h-200,c-at_max,fo-left": "w-300,h-200,c-at_max",
    "w-300,h-200,x-10": "w-300,h-200",
    "w-300,h-200,cm-extract,xc-9,x-10,y-N5,fo-left": "w-300,h-200,cm-extract,x-10,y-N5",
    # look
    "rt-N40": "rt-320",
    "rt-360": "",
    "rt-auto": "",
    "rt-N0.5": "rt-359.5",
    "fl-v_h": "fl-h_v",
    "r-20_20_20_20": "r-20",
    "r-10_10_max_0": "r-10_10_max_0",
    "r-0": "",
    "b-5_fff000": "b-5_FFF000",
    # ImageKit: with o, "Alpha component, if present in the bg value, will be ignored."
    "o-50,bg-0000FF30": "o-50,bg-0000FF",
    "o-100,bg-0000FF30": "bg-0000FF30",
    "bg-f0a": "bg-FF00AA",  # ImageKit's editor lets three digits pass
    # Numbers as programs write them: with a minus sign, and all digits that a float has.
    "rt--90": "rt-270",
    "w-100,h-9,cm-extract,x--7,y-10.5": "w-100,h-9,cm-extract,x-N7,y-11",
    "w-300.5,h-299.49": "w-301,h-299",
    "w-0.33333333333333331": "w-0.333333",
    "w-0.99999999": "w-0.999999",
    "w-400,ar-1.7777777777777777": "w-400,ar-16-9",
    "w-100,dpr-1.100000023841858": "w-100,dpr-1.1",
    "b-2.5_red": "b-3_FF0000",
    "e-gradient-ld-topleft": "e-gradient-ld-315",
    "b-5-A94D34": "b-5_A94D34",
    "b-5_FFF00050": "b-5_FFF00050",
    "b-0_red": "",
    "b-iw_mul_0.02_red": "b-iw_mul_0.02_FF0000",
    "bg-pink": "bg-FFC0CB",
    "bg-AAAA5466": "bg-AAAA5466",
    "bg-ff000099": "bg-FF000099",
    "bl-10,o-100": "bl-10",
    "t-false": "",
    "t-true": "t-true",
    "t-10": "t-true",
    "t-5": "t-5",
    "e-grayscale,e-contrast": "e-grayscale,e-contrast",
    "e-sharpen-10": "e-sharpen",
    "e-sharpen-20": "e-sharpen-20",
    "e-usm-2-2-0.8-0.024": "e-usm",
    "e-usm-1-2-0.80-0.024": "e-usm-1-2-0.8-0.024",
    # output
    "f-jpg": "f-jpeg",
    "f-auto": "",
    "q-80": "q-80",
    "lo-false,pr-false,md-false,cp-false,orig-false": "pr-false",
    "md-true,cp-true": "md-true",
    "dn-300": "dn-300",
    "orig-true,w-300,q-50:rt-90": "orig-true",
    "di-a-b.jpg": "di-a-b.jpg",
    "di-folder@@file.jpg@@": "di-folder@@file.jpg",
    "di-a%20b.jpg": "di-a%20b.jpg",
    "di-é.jpg": "di-%C3%A9.jpg",
    "w-300,di-a%2Cb.jpg": "w-300,di-a%2Cb.jpg",
    "f-webp:w-300:q-50,f-png": "w-300,f-png,q-50",
    "lo-true:lo-false,w-300": "w-300",
}


@pytest.mark.parametrize(("text", "canonical"), ACCEPTED.items())
def test_parse_reads_every_spelling_to_its_canonical_form(text: str, canonical: str) -> None:
    assert str(Transform.parse(text)) == canonical


@pytest.mark.parametrize("text", ACCEPTED)
def test_parse_reads_the_canonical_form_back(text: str) -> None:
    transform = Transform.parse(text)
    assert Transform.parse(str(transform)) == transform


REFUSED = [
    # text, token, position, suggestion
    ("w-300,wdith-200", "wdith-200", 6, "w-200"),
    ("width-300", "width-300", 0, "w-300"),
    ("tr:h-2,W-300", "W-300", 7, "w-300"),
    ("w-300%2Cq-101", "q-101", 8, "q-100"),
    ("w-300:fo-centre", "fo-centre", 6, "fo-center"),
    ("?tr=f-jpge", "f-jpge", 4, "f-jpg"),
    ("bg-pnik", "bg-pnik", 0, "bg-pink"),
    ("w-0", "w-0", 0, "w-1"),
    ("w-N5", "w-N5", 0, "w-1"),
    ("dpr-9", "dpr-9", 0, "dpr-5"),
    ("zzzzzz", "zzzzzz", 0, ""),
    ("w-", "w-", 0, ""),
    ("w", "w", 0, ""),
    ("e-grayscale-2", "e-grayscale-2", 0, ""),
    ("e-grayscale-", "e-grayscale-", 0, ""),
    ("w-nan", "w-nan", 0, ""),
    ("w-Infinity", "w-Infinity", 0, ""),
    ("w-1e3", "w-1e3", 0, ""),
    ("w-٣", "w-٣", 0, ""),
    ("w--5", "w--5", 0, "w-1"),
    ("w-9999999", "w-9999999", 0, ""),
    ("w-2_pow_99999", "w-2_pow_99999", 0, ""),
    ("w-1_div_0", "w-1_div_0", 0, ""),
    ("w-bw_div_2", "w-bw_div_2", 0, ""),
    ("w-iw_div", "w-iw_div", 0, ""),
    ("ar-4-0", "ar-4-0", 0, ""),
    ("r-1_2_3", "r-1_2_3", 0, ""),
    ("b-5", "b-5", 0, ""),
    ("b-N5_red", "b-N5_red", 0, ""),
    ("b-5_FFFF", "b-5_FFFF", 0, ""),
    ("bg-FF0000FF", "bg-FF0000FF", 0, ""),
    ("e-usm-1-2-3", "e-usm-1-2-3", 0, ""),
    ("e-usm-1-2-3-4", "e-usm-1-2-3-4", 0, ""),
    ("bl-0", "bl-0", 0, "bl-1"),
    ("di-..@@secret", "di-..@@secret", 0, ""),
    ("di-a%00b", "di-a\0b", 0, ""),
    ("w-300,di-%FF", "di-%FF", 6, ""),
    ("w-300,q-80,w-200", "w-200", 11, ""),
    ("n-thumb", "n-thumb", 0, ""),
    # understood, and not done here
    ("w-300,l-video,i-a.mp4,l-end", "l-video", 6, ""),
    ("e-genvar", "e-genvar", 0, ""),
    ("w-500:e-shadow-bl-16", "e-shadow-bl-16", 6, ""),
    ("e-shadow-x-1_x-2", "e-shadow-x-1_x-2", 0, ""),
    ("e-gradient-ld-360", "e-gradient-ld-360", 0, ""),
    ("e-gradient-sp-0", "e-gradient-sp-0", 0, ""),
    ("e-colorize-in-101", "e-colorize-in-101", 0, ""),
    ("cr-red_20_nothing", "cr-red_20_nothing", 0, ""),
    ("e-distort-p-0_0_9_9_9_0_0_9", "e-distort-p-0_0_9_9_9_0_0_9", 0, ""),
    ("e-distort-a-0", "e-distort-a-0", 0, ""),
    ("bg-blurred_101", "bg-blurred_101", 0, "bg-blurred"),
    ("o-1.5", "o-1.5", 0, "o-2"),
    ("e-bgremove", "e-bgremove", 0, ""),
    ("w-9,fo-fase", "fo-fase", 4, "fo-face"),
    ("w-9,fo-custom_1_2_3", "fo-custom_1_2_3", 4, "fo-custom"),
    ("w-9,h-9,z-0,fo-face", "z-0", 8, ""),
    ("dn-iw_div_2", "dn-iw_div_2", 0, ""),
    ("w-9,density-0", "dn-0", 4, "dn-1"),
    ("w-idn", "w-idn", 0, ""),
    ("fo-kat", "fo-kat", 0, "fo-cat"),
    ("oit-false", "oit-false", 0, ""),
    ("pg-name-layer", "pg-name-layer", 0, ""),
    ("bg-genfill", "bg-genfill", 0, ""),
    ("vc-h264", "vc-h264", 0, ""),
]


@pytest.mark.parametrize(("text", "token", "position", "suggestion"), REFUSED)
def test_parse_names_the_token_it_refuses(text: str, token: str, position: int, suggestion: str) -> None:
    with pytest.raises(TransformError) as caught:
        Transform.parse(text)
    assert (caught.value.token, caught.value.position, caught.value.suggestion) == (token, position, suggestion)


@pytest.mark.parametrize(("text", "token", "position", "suggestion"), REFUSED)
def test_every_suggestion_is_itself_valid(text: str, token: str, position: int, suggestion: str) -> None:
    assert Transform.parse(suggestion).steps is not None


def test_message_lists_values_without_the_marks_of_a_page() -> None:
    with pytest.raises(TransformError, match="face, an object such as car, several") as caught:
        Transform.parse("fo-north")
    assert "#detectors" not in str(caught.value)


@pytest.mark.parametrize("text", [":".join(["w-1"] * 10_000), ":".join(["w-9"] * 21), "w-" + "9" * 100_000])
def test_parse_refuses_what_is_too_long(text: str) -> None:
    with pytest.raises(TransformError):
        Transform.parse(text)


def test_parse_names_the_first_step_above_the_limit() -> None:
    with pytest.raises(TransformError, match=r"limits\.steps") as caught:
        Transform.parse("w-300:rt-90:fl-h", limits=Limits(steps=2))
    assert (caught.value.token, caught.value.position) == ("fl-h", 12)


def test_parse_refuses_what_is_no_text() -> None:
    with pytest.raises(TransformError, match="int"):
        Transform.parse(300)  # type: ignore[arg-type]  # what an untyped caller may do


PRESETS = {"thumb": "tr:w-100,h-100,f-webp", "a-b": "rt-90:w-50", "none": "", "nested": "n-thumb", "bad": "w-0"}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("n-thumb", "w-100,h-100,f-webp"),
        ("n-thumb,w-200", "w-200,h-100,f-webp"),
        ("w-200,n-thumb", "w-200,h-100,f-webp"),
        ("n-thumb:rt-90,f-png", "w-100,h-100:rt-90,f-png"),
        ("n-a-b", "rt-90:w-50"),
        ("n-a-b:q-50", "rt-90:w-50,q-50"),
        ("n-none,w-20", "w-20"),
        ("n-none", ""),
    ],
)
def test_presets_stand_for_their_text(text: str, canonical: str) -> None:
    assert str(Transform.parse(text, presets=PRESETS)) == canonical


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [("n-thum", "n-thumb"), ("n-a-b,q-50", ""), ("n-nested", ""), ("n-bad", ""), ("n-thumb,n-none", ""), ("n-", "")],
)
def test_presets_that_fit_nowhere_are_refused(text: str, suggestion: str) -> None:
    with pytest.raises(TransformError) as caught:
        Transform.parse(text, presets=PRESETS)
    assert caught.value.suggestion == suggestion


def test_presets_count_against_the_limit_of_steps() -> None:
    with pytest.raises(TransformError, match=r"limits\.steps"):
        Transform.parse("n-a:n-a", presets={"a": "rt-9:rt-8"}, limits=Limits(steps=3))
