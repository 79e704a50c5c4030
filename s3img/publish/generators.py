"""Pages that a script renders again in the browser: their markup is what their generator's script says.

Such a script compares the page with what it would render itself, or renders it anew: either way it puts the old
addresses back. So these pages stay as they are, and the addresses belong into the sources, before the build.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from s3img.publish.result import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.config import Config


class Generator(msgspec.Struct, frozen=True):
    """A generator by its marks: attributes of tags, beginnings of scripts, what ``<meta name=generator>`` says.

    ``sources`` is what its pages are written in.
    """

    name: str
    sources: str
    tags: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    meta: str = ""

    def pattern(self) -> re.Pattern[bytes] | None:
        """Return a pattern for the marks where they count: inside a tag, or in a script; not in a text about them."""
        found = []
        for tag in self.tags:
            name, equals, value = tag.partition("=")
            quoted = rf"""\s*+=\s*+["']?{re.escape(value.strip('"'))}""" if equals else r"[\s=>/]"
            begin = "" if name.startswith("<") else r"<[a-zA-Z][^<>]*\s"
            found.append(begin + re.escape(name) + quoted)
        found += [rf"<script[^<>]*+>[^<]*{re.escape(script)}" for script in self.scripts]
        return re.compile("|".join(found).encode(), re.IGNORECASE) if found else None

    def marks(self) -> list[bytes]:
        """Return what a page with a mark holds in any case: a plain search is fast, and nearly no page has any."""
        tags = (
            name.strip("<") if not value else value.strip('"')
            for name, _, value in (t.partition("=") for t in self.tags)
        )
        return [mark.encode() for mark in (*tags, *self.scripts)]


MARKDOWN = "Markdown"
COMPONENTS = "components"

GENERATORS = (
    Generator("Docusaurus", MARKDOWN, tags=('id="__docusaurus"',), meta="Docusaurus"),
    Generator("VitePress", MARKDOWN, scripts=("__VP_HASH_MAP__", "__VP_SITE_DATA__"), meta="VitePress"),
    Generator("VuePress", MARKDOWN, meta="VuePress"),
    Generator("Rspress", MARKDOWN, scripts=("__RSPRESS",), meta="Rspress"),
    Generator("Gatsby", COMPONENTS, tags=('id="___gatsby"',), meta="Gatsby"),
    Generator("Next.js", COMPONENTS, tags=('id="__next"', 'id="__NEXT_DATA__"'), scripts=("self.__next_f", "__next_f")),
    Generator("Nuxt", COMPONENTS, tags=('id="__nuxt"', 'id="__NUXT_DATA__"'), scripts=("window.__NUXT__",)),
    Generator("SvelteKit", COMPONENTS, tags=("data-sveltekit-hydrate",), scripts=("__sveltekit_",)),
    Generator("Astro (islands)", COMPONENTS, tags=("<astro-island",)),
    Generator("Gridsome", COMPONENTS, meta="Gridsome"),
    Generator("React Router", COMPONENTS, scripts=("window.__reactRouterContext", "window.__remixContext")),
    Generator("TanStack", COMPONENTS, scripts=("window.__TSR__", "self.$_TSR")),
    Generator("Angular", COMPONENTS, tags=('id="ng-state"', "ng-server-context=", "ngh=")),
    Generator("Qwik", COMPONENTS, tags=("q:container=",)),
    Generator("SolidStart", COMPONENTS, tags=("data-hk=",), scripts=("_$HY", "window._$HY")),
    Generator("Fresh", COMPONENTS, tags=('id="__FRSH_STATE',)),
    Generator("Vue", COMPONENTS, tags=("data-server-rendered=", "data-v-app")),
    Generator("React", COMPONENTS, tags=("data-reactroot", "data-reactid=")),
)

_ADVICE = {
    MARKDOWN: "Put the addresses into the Markdown sources, before the build: s3img markdown FILES",
    COMPONENTS: "Upload the pictures with s3img sync, and let the components ask for their addresses, before the build",
}
_DOCS = "docs/publishing.md, Pages that a script renders again, says how."


_KNOWN = [(generator, generator.marks(), generator.pattern()) for generator in GENERATORS]
_SCRIPT = re.compile(rb"<script[\s>]", re.IGNORECASE)
_META = re.compile(rb"<meta\s[^<>]*+>", re.IGNORECASE)
_NAME = re.compile(rb"\sname\s*+=\s*+[\"']?generator[\"'\s/>]", re.IGNORECASE)
_CONTENT = re.compile(rb"\scontent\s*+=\s*+(?:\"([^\"]*+)|'([^']*+)|([^\s\"'>]++))", re.IGNORECASE)


def generator_of(page: bytes) -> Generator | None:
    """Return what renders a page again in the browser, None for a page that stays as it is sent.

    A page without any script is not rendered again, whatever made it.
    """
    if not _SCRIPT.search(page):
        return None
    stated = stated_generator(page).lower()
    for generator, marks, pattern in _KNOWN:
        by_name = bool(generator.meta) and stated.startswith(generator.meta.lower())
        by_mark = pattern is not None and any(mark in page for mark in marks) and pattern.search(page) is not None
        if by_name or by_mark:
            return generator
    return None


def stated_generator(page: bytes) -> str:
    """Return what ``<meta name=generator>`` says, "" without one."""
    for tag in _META.finditer(page) if b"generator" in page else ():
        if _NAME.search(tag[0]) and (content := _CONTENT.search(tag[0])):
            return content[content.lastindex or 0].decode("utf-8", "replace").strip()
    return ""


def report(pages: Mapping[str, Generator], config: Config) -> list[Problem]:
    """Return what to say about pages that are rendered again: one warning for each generator.

    Local files stay as long as scripts ask for them: with ``remove_local`` it is an error, before anything changes.
    """
    found = []
    for generator in sorted(set(pages.values()), key=lambda generator: generator.name):
        paths = sorted(path for path in pages if pages[path] is generator)
        few = paths[0] if len(paths) == 1 else f"{len(paths)} pages, {paths[0]} first,"
        verb = "is" if len(paths) == 1 else "are"
        text = (
            f"{few} {verb} rendered again in the browser by {generator.name}: its script would put the old addresses"
            f" back, so publish leaves {'it' if len(paths) == 1 else 'them'} alone. {_ADVICE[generator.sources]}."
            f" {_DOCS}"
        )
        found.append(Problem("", 0, 0, "rendered-again", text))
    if found and config.remove_local and config.base_url:
        names = ", ".join(sorted({generator.name for generator in pages.values()}))
        text = f"remove_local would delete pictures that scripts of {names} ask for: publish without --remove-local."
        found.append(Problem("", 0, 0, "remove-local-refused", text, "error"))
    return found
