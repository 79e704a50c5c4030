"""What MkDocs asks while it builds these pages as a site: the page of all options, and links that leave ``docs/``."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

import click
from mkdocs.structure.files import File

from s3img.cli import group as program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

LINK = re.compile(r"(?<=\]\()(?:\.\./)+[^)\s]*")
COMMANDS = "reference/commands.md"
HEAD = """\
# Options of every command

What `s3img COMMAND --help` prints, on one page. [The overview](../cli.md) says what the commands are for, and
what exit codes mean. Options that are [settings](../configuration.md) may also be in `s3img.toml` or the environment.
"""


SEARCH = {
    "faq.md": 2.0,
    "guides/": 2.0,
    "providers.md": 2.0,
    "configuration.md": 1.5,
    "reference/": 0.3,
    "architecture.md": 0.3,
    "benchmarks.md": 0.2,
    "decisions.md": 0.2,
}
"""Weight of a page or folder in the site's search: answers come before background, which has every word somewhere."""


def on_files(files: Files, /, *, config: MkDocsConfig) -> Files:
    """Add the page of all commands. It is made while the site is built, so it is always that of the program."""
    files.append(File.generated(config, COMMANDS, content=commands_page()))
    return files


def on_page_markdown(markdown: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs' signature
    """Weigh a page in the search, and return its text with links to files outside of ``docs/`` as addresses."""
    for path, weight in SEARCH.items():
        if page.file.src_uri.startswith(path):
            page.meta["search"] = {"boost": weight}

    def absolute(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.file.src_uri), link[0]))
        return link[0] if path.startswith("docs/") else f"{(config.repo_url or '').rstrip('/')}/blob/main/{path}"

    return LINK.sub(absolute, markdown)


def commands_page() -> str:
    """Return the page: for each command what it does, its usage and its options."""
    context = click.Context(program, info_name="s3img")
    return HEAD + "".join(part for name in program.list_commands(context) for part in sections(program, name, context))


def sections(group: click.Group, name: str, parent: click.Context) -> Iterator[str]:
    """Yield the section of a command and those of its subcommands."""
    command = group.get_command(parent, name)
    if command is None or command.hidden:
        return
    context = click.Context(command, info_name=name, parent=parent)
    yield f"\n## {context.command_path}\n\n{cell(command.help or '')}\n"
    yield f"\n```text\n{' '.join((context.command_path, *command.collect_usage_pieces(context)))}\n```\n"
    rows = [record for option in command.params if (record := option.get_help_record(context)) and record[1]]
    if rows:
        yield "\n| option | meaning |\n| --- | --- |\n"
        yield from (f"| `{option.replace('|', chr(92) + '|')}` | {cell(meaning)} |\n" for option, meaning in rows)
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            yield from sections(command, child, context)


def cell(text: str) -> str:
    """Return text that stays on one line, inside its cell of a table, and reads there as it is."""
    return re.sub(r"([|*`\[\]_])", r"\\\1", " ".join(text.split()).replace("<", "&lt;"))
