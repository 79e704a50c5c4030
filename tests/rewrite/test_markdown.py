from __future__ import annotations

import pytest

from s3img.rewrite import find_references

TYPE = "text/markdown"

IMAGES = {
    "inline": ("![a](b.png)", ["b.png"]),
    "empty text": ("![](b.png)", ["b.png"]),
    "space in the parentheses": ("![a](\n  b.png\t)", ["b.png"]),
    "titles": ("![](a 't') ![](b \"t\") ![](c (t)) ![](d\n't\nu')", ["a", "b", "c", "d"]),
    "title with its own quote": (r'![](a "x \" y)" )', ["a"]),
    "title without space": ('![](a"b")', ['a"b"']),
    "title and more": ('![](a "b" c)', []),
    "angle brackets": ("![](<a b(.png> 't') ![](<>)", ["a b(.png"]),
    "angle brackets with a line break": ("![](<a\nb>)", []),
    "balanced parentheses": ("![](a(b(c)d).png)", ["a(b(c)d).png"]),
    "unbalanced parentheses": ("![](a(b.png) x", []),
    "escaped parentheses": (r"![](a\(b\).png) ![](c\).png)", ["a(b).png", "c).png"]),
    "space in the destination": ("![](a b.png)", []),
    "escapes": (r"![](a\_b\&amp;.png)", ["a_b&amp;.png"]),
    "character references": ("![](a&amp;b&auml;&#x20AC;.png?x&copy=2&nix;)", ["a&bä€.png?x&copy=2&nix;"]),
    "windows path": (r"![](img\cat.png) ![](<..\my img\cat.png>)", ["img/cat.png", "../my img/cat.png"]),
    "no extension": ("![](https://x/1?w=2#3) ![](cat)", ["https://x/1?w=2#3", "cat"]),
    "not ASCII": ("![ü](ä/日本.png)", ["ä/日本.png"]),
    "empty destination": ("![]() ![]( )", []),
    "attribute list": ('![](a.png){ width="3" .b }{: #c }', ["a.png"]),
    "brackets in the text": ("![a [b](c) [d] `]` \\] e](f.png)", ["f.png"]),
    "image in the text of an image": ("![a ![b](c.png)](d.png)", ["d.png"]),
    "image in a link": ("[![a](b.png)](c.png)", ["b.png"]),
    "images in links in links": ("[a [![b](c.png)](d) e](f)", ["c.png"]),
    "image as the destination of a link": ("[a](![b](c.png))", []),
    "escaped": (r"\![a](b.png) !\[c](d.png) ![e\](f.png) \\![g](h.png)", ["h.png"]),
    "space before the parenthesis": ("![a] (b.png)", []),
    "heading": ("# ![](a)\nb ![](c)\n===\n", ["a", "c"]),
    "emphasis": ("**![](a)** _![](b)_ ~~![](c)~~", ["a", "b", "c"]),
    "several lines": ("> ![a\n> b](c\n>  'd')\n- ![e\n  f](g)\n", ["c", "g"]),
    "table": ("| ![](a) | ` |\n|---|---|\n| ` | ![](b\\|c) |\nd | ![](e)\n\n", ["a", "b|c", "e"]),
    "lists": ("- a\n\n  ![](b)\n\n      no ![](c)\n\n1) ![](d)\n   10. ![](e)\n", ["b", "d", "e"]),
    "nested lists with four blanks": ("* a\n    * b\n\n        ![](c)\n", ["c"]),
    "line endings": ("![](a)\r\n\r![](b)\r```\r![](c)\r```\r\n![](d)", ["a", "b", "d"]),
    "byte order mark": ("\ufeff![](a)", ["a"]),
    "long line": ("x" * 5000 + "![](a)", ["a"]),
}

BY_DEFINITION = {
    "full": ("![a][B  c]\n\n[b\tC]: d.png 't'", ["d.png"]),
    "collapsed": ("![a *b*][]\n\n[A *b*]: d.png", ["d.png"]),
    "shortcut": ("![a]\n\n[a]: <d e.png>\n(t)", ["d e.png"]),
    "case folding": ("![ẞ]\n\n[SS]: d.png", ["d.png"]),
    "defined before": ("[a]: d.png\n\n![a]", ["d.png"]),
    "defined twice": ("![a]\n\n[a]: d.png\n[A]: e.png", ["d.png"]),
    "used twice": ("![a] ![b][a]\n\n[a]: d.png", ["d.png"]),
    "not defined": ("![a][b] ![c] [d]: e", []),
    "used by a link": ("[a] [b][a]\n\n[a]: d.png", []),
    "used by a link and an image": ("[a] ![b][a]\n\n[a]: d.png", ["d.png"]),
    "text after the title": ("![a]\n\n[a]: d.png 't' u", []),
    "title on the next line": ("![a]\n\n[a]:\n  d.png\n  't'\n![](e)", ["d.png", "e"]),
    "next line is no title": ("![a]\n\n[a]: d.png\n't' u", ["d.png"]),
    "in a paragraph": ("![a]\nb\n[a]: d.png", []),
    "in a quote in a list": ("![a]\n\n- > [a]: d.png", ["d.png"]),
    "in code": ("![a]\n\n    [a]: d.png\n\n```\n[a]: e.png\n```", []),
    "footnote": ("![^1]\n\n[^1]: ![](a.png)\n\n    ![](b.png)", ["a.png", "b.png"]),
    "escaped brackets in the label": ("![a\\]]\n\n[a\\]]: d.png", ["d.png"]),
    "label without text": ("![ ]\n\n[ ]: d.png", []),
    "label that is too long": (f"![{'a' * 1000}]\n\n[{'a' * 1000}]: d.png", []),
    "inline wins": ("![a](e.png)\n\n[a]: d.png", ["e.png"]),
}

NO_IMAGES = {
    "code span": "`![](a)` ``![](b) ` ![](c)``",
    "code span over lines": "`a\n![](b)\nc`",
    "fence": "```\n![](a)\n``\n![](b)\n````\n",
    "fence with other marks": "~~~ md `x`\n![](a)\n```\n![](b)\n~~~",
    "fence without end": "> ```\n> ![](a)",
    "fence in a list": "- a\n\n  ```\n  ![](b)\n\n  ![](c)\n  ```",
    "indented code": "    ![](a)\n\n\t![](b)\n",
    "indented code in a quote": ">     ![](a)",
    "comment": "a <!-- ![](b)\n <img src=c> --> d",
    "comment over paragraphs": "<!--\n![](a)\n\n![](b)\n-->",
    "dollars": "$![](a)$ and $$![](b)$$ and $$\n![](c)\n$$",
    "block of math": "$$\na\n\n![](b)\n$$\n\n\\[\nc\n\n![](d)\n\\]\n",
    "brackets of math": "\\(![](a)\\) \\[![](b)\\]",
    "front matter": "---\nimage: a.png\nb: '![](c)'\n---\n",
    "front matter in TOML": "+++\nb = '![](c)'\n+++\n",
    "link": "[a](b.png) <https://x/a.png> https://x/a.png",
    "autolink": "<https://x/![](a)>",
    "attribute of a tag": "a <b title='![](c)'> <d e='![](f)' />",
    "raw HTML": "<div>\n![](a)\n</div>",
    "pre": "<pre>\n![](a)\n\n![](b)\n</pre>",
    "script": "<script>\n'<img src=a>'\n\n![](b)\n</script>",
    "instruction": "<?x ![](a)\n\n![](b) ?>",
    "cdata": "<![CDATA[ ![](a)\n\n![](b) ]]>",
    "obsidian": "![[a.png]]",
}

NEAR_CODE = {
    "prices": ("$5 ![](a) $6, US$7 ![](b) CA$8, \\$![](c)$", ["a", "b", "c"]),
    "code span without end": ("`![](a) ``", ["a"]),
    "escaped code span": ("\\`![](a)\\`", ["a"]),
    "code span ends with its block": ("`\n\n![](a)`", ["a"]),
    "after a fence": ("```\n```\n![](a)", ["a"]),
    "four blanks in a paragraph": ("a\n    ![](b)", ["b"]),
    "four blanks after a heading": ("# a\n    ![](b)", []),
    "lazy line": ("> a\n![](b)", ["b"]),
    "after a comment": ("<!-- a -->\n![](b) <!-- c --> ![](d)", ["b", "d"]),
    "comment without end in a paragraph": ("a <!-- ![](b)", ["b"]),
    "after raw HTML": ("<div>\n\n![](a)\n\n</div>", ["a"]),
    "math without end": ("$$\n![](a)", []),
    "dollars without end": ("a $$ ![](b)", ["b"]),
    "thematic break at the beginning": ("---\n\n![](a)\n\n---\n", ["a"]),
    "after front matter": ("---\na: b\n...\n![](c)", ["c"]),
    "underline that looks like a list": ("![](a)\n-\n![](b)", ["a", "b"]),
}

PYTHON_MARKDOWN = {
    "admonition": ('!!! note "x"\n\n    ![](a)\n\n        ![](code)\n', ["a"]),
    "details and tabs": ('??? tip\n    ![](a)\n\n=== "b"\n\n    - c\n\n        ![](d)\n', ["a", "d"]),
    "fence in a tab": ('=== "a"\n\n    ``` md\n    ![](b)\n    ```\n\n    ![](c)\n', ["c"]),
    "definition list": ("a\n:   b\n\n    ![](c)\n", ["c"]),
    "markdown in HTML": ("<figure markdown>\n  ![](a)\n  <figcaption>![](b)</figcaption>\n</figure>", ["a"]),
    "markdown in HTML with a value": ('<div class="x" markdown="1">\n![](a)\n</div>', ["a"]),
}


@pytest.mark.parametrize(("text", "expected"), IMAGES.values(), ids=IMAGES)
def test_markdown_inline_images_are_found(text: str, expected: list[str]) -> None:
    assert [found.url for found in find_references(text, TYPE)] == expected
    assert {found.kind for found in find_references(text, TYPE)} <= {"markdown image"}


@pytest.mark.parametrize(("text", "expected"), BY_DEFINITION.values(), ids=BY_DEFINITION)
def test_markdown_definitions_of_images_are_found(text: str, expected: list[str]) -> None:
    assert [found.url for found in find_references(text, TYPE)] == expected


@pytest.mark.parametrize("text", NO_IMAGES.values(), ids=NO_IMAGES)
def test_markdown_code_comments_and_math_hold_no_images(text: str) -> None:
    assert find_references(text, TYPE) == []


@pytest.mark.parametrize(("text", "expected"), NEAR_CODE.values(), ids=NEAR_CODE)
def test_markdown_images_near_code_are_found(text: str, expected: list[str]) -> None:
    assert [found.url for found in find_references(text, TYPE)] == expected


@pytest.mark.parametrize(("text", "expected"), PYTHON_MARKDOWN.values(), ids=PYTHON_MARKDOWN)
def test_markdown_of_python_markdown_is_understood(text: str, expected: list[str]) -> None:
    assert [found.url for found in find_references(text, TYPE)] == expected


@pytest.mark.parametrize(("text", "expected"), [*IMAGES.values(), *BY_DEFINITION.values(), *NEAR_CODE.values()])
def test_markdown_bytes_and_text_have_the_same_references(text: str, expected: list[str]) -> None:
    assert [found.url for found in find_references(text.encode(), TYPE)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a <img src=b.png alt='![](c)'> ![](d)", ["img src b.png", "markdown image d"]),
        ("<p>\n  <img src='a.png'\n srcset='b.png 2x'>\n</p>", ["img src a.png", "img srcset b.png"]),
        ("> <picture>\n> <source srcset=é.webp>\n> <img src=b></picture>", ["source srcset é.webp", "img src b"]),
        ("é <b style='background: url(a.png)'>", ["css url a.png"]),
        ("<div><img src=a>\n\n`<img src=b>` <code><img src=c></code>", ["img src a", "img src c"]),
        ("    <img src=a>\n\n```\n<img src=b>\n```", []),
        ("\\<img src=a> <img src=b", []),
    ],
)
def test_markdown_raw_html_is_read_as_html(text: str, expected: list[str]) -> None:
    assert [f"{found.kind} {found.url}" for found in find_references(text, TYPE)] == expected


def test_markdown_links_are_found_when_asked_for() -> None:
    text = "[![a](b.png)](c.png) [d] [e][f] ![g][f] [x]\n\n[d]: h.png\n[f]: i.png\n[unused]: j.png"
    found = find_references(text, TYPE, optional=["markdown link"])
    assert [f"{reference.kind} {reference.url}" for reference in found] == [
        "markdown image b.png",
        "markdown link c.png",
        "markdown link h.png",
        "markdown definition i.png",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("![](a){ data-s3img=off } ![](b){ .c } ![](d)", ["a"]),
        ("![](a){: .c data-s3img='off' } ![](b){data-s3img=\"off\"} ![](c) {data-s3img=off}", ["a", "b"]),
        ("![](a){ data-s3img=url } ![](b){ data-s3img=office }", []),
        ("![](a)\n\n<!-- s3img:off -->\n![](b)\n\n![](c)\n<!--s3img:on-->\n\n![](d)", ["b", "c"]),
        ("![](a) <!-- s3img:off --> ![](b) <!-- s3img:on --> ![](c)", ["b"]),
        ("![a] ![b][a]{ data-s3img=off }\n\n[a]: c", ["c"]),
        ("`<!-- s3img:off -->` ![](a)", []),
    ],
)
def test_markdown_image_that_the_author_excluded_is_marked(text: str, expected: list[str]) -> None:
    assert [found.url for found in find_references(text, TYPE) if found.tag and found.tag.off] == expected
