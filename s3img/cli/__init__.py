"""The command line: data on stdout, messages on stderr; exit codes as in ``docs/cli.md``."""

from __future__ import annotations

import importlib
import io
import os
import sys

import click

from s3img import __version__
from s3img.errors import AssetError, BucketError, ConfigError, S3ImgError, closest

_SECTIONS = {
    "Start here": {
        "demo": ("demo", "Build, publish, verify and serve the example site"),
        "init": ("configuration", "Ask for a bucket, test it and write s3img.toml"),
        "doctor": ("doctor", "Test the set-up; name what is wrong and how to fix it"),
        "config": ("configuration", "Show the settings in force, or import another program's"),
        "completion": ("completion", "Let a shell complete commands and options"),
    },
    "Sites and pages": {
        "publish": ("publish", "Put a built site's images into the bucket; change its pages"),
        "markdown": ("publish", "Put the images of Markdown files there; change the text"),
        "check": ("sync", "Compare images, s3img.lock and a built site, offline"),
        "missing-alt": ("commit_checks", "Find images without alternative text"),
    },
    "Images out of git": {
        "sync": ("sync", "Put the images of folders into the bucket; write s3img.lock"),
        "add": ("sync", "Put single images, and add their lines to s3img.lock"),
        "push": ("sync", "Put the images that s3img.lock names, and no others"),
        "pull": ("sync", "Fetch the images of s3img.lock that are not on disk"),
        "plan": ("sync", "Print what sync would do, as JSON"),
        "apply": ("sync", "Do what a plan says"),
        "large-images": ("commit_checks", "Find images that are too large for git"),
    },
    "A bucket of pictures": {
        "gallery": ("gallery", "Show the bucket in the browser: upload, rename, remove"),
        "ls": ("manage", "List keys"),
        "upload": ("upload", "Put pictures, and print their addresses"),
        "mv": ("manage", "Move or rename; --update changes what refers to it"),
        "rm": ("manage", "Move objects to the trash"),
        "restore": ("manage", "Put objects back from the trash"),
        "used": ("manage", "Say where a picture is used"),
        "gc": ("bucket_commands", "Delete images that nothing refers to any more"),
        "render": ("bulk_render", "Render what is missing, for every picture of the bucket"),
        "picgo": ("picgo", "Take uploads of editors (Typora, Obsidian, VS Code)"),
        "cors": ("bucket_commands", "Let web pages upload straight into the bucket"),
    },
    "The transform service": {
        "serve": ("serve", "Run the service on this machine, for development"),
        "sign": ("url", "Print an address of the service with its signature"),
        "healthcheck": ("healthcheck", "Ask whether the service is running"),
    },
    "Single pictures": {
        "url": ("url", "Print the address of a picture, or its <picture>"),
        "transform": ("image_files", "Render one file"),
        "size": ("image_files", "Print the size that a transform gives"),
        "probe": ("image_files", "Say what files are, by their bytes"),
    },
}
"""Where each command is, and what the overview says of it.

A module is loaded when its command is used, so that a quick command does not wait for a slow one's imports.
"""

_MODULES = {name: module for section in _SECTIONS.values() for name, (module, _) in section.items()}

INTERRUPTED = 130


class SuggestingGroup(click.Group):
    """A group of commands that names the nearest one for a command that it does not have."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that ``args`` begins with; raise UsageError naming the nearest one."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            near = closest(name, self.list_commands(ctx))
            hint = f"Did you mean {near!r}?" if near else f"{ctx.command_path} --help lists them all."
            ctx.fail(f"No such command {name!r}. {hint}")
        return super().resolve_command(ctx, args)


class LazyGroup(SuggestingGroup):
    """The commands of ``s3img``; each module is loaded when its command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load a command; return None for an unknown name."""
        if cmd_name not in _MODULES:
            return None
        name = f"{cmd_name.replace('-', '_')}_command"
        command: click.Command = getattr(importlib.import_module(f"s3img.cli.{_MODULES[cmd_name]}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what they are for; nothing is loaded."""
        names = set(self.list_commands(ctx))
        for title, section in _SECTIONS.items():
            rows = [(name, summary) for name, (_, summary) in section.items() if name in names]
            with formatter.section(title):
                formatter.write_dl([(f"{name:12}", summary) for name, summary in rows])


_SITE_COMMANDS = frozenset({"demo", "gallery", "init", "markdown", "picgo", "publish", "serve"})
"""Commands of built sites and of programs of their own, which have nothing to do with an application's images."""


class HostedGroup(LazyGroup):
    """The commands of ``s3img`` in another program (``flask s3img``); ``obj`` of its context is or makes its `Host`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands that make sense there."""
        return [name for name in super().list_commands(ctx) if name not in _SITE_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; return None for one that makes no sense there."""
        return super().get_command(ctx, cmd_name) if cmd_name not in _SITE_COMMANDS else None

    def invoke(self, ctx: click.Context) -> None:
        """Run a command and exit; what it returns is the exit code."""
        try:
            ctx.obj = ctx.obj() if callable(ctx.obj) else ctx.obj
            code = super().invoke(ctx)
        except (S3ImgError, OSError) as error:
            code = explain(as_failure(error))
        ctx.exit(code or 0)


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="s3img")
def group() -> None:
    """Put the pictures of your pages into your bucket, in the sizes and formats that browsers want.

    s3img COMMAND --help tells more of a command.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit; every failure is one message and a code that says what kind it is."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that this stream has no letters for must not end a run
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.exit(group.main(arguments, prog_name="s3img", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted. What was done stays done; run the command again to go on.", err=True)
        sys.exit(INTERRUPTED)
    except (S3ImgError, OSError) as found:
        failure = as_failure(found)
        if "--json" in (sys.argv[1:] if arguments is None else arguments):
            import json  # most runs don't fail

            facts = {"code": failure.reason, "message": failure.message, "fix": failure.fix}
            shown = {"schema": 1, "error": {**facts, "exit_code": failure.exit_code}}
            click.echo(json.dumps(shown, ensure_ascii=False))
        sys.exit(explain(failure))


def as_failure(error: S3ImgError | OSError) -> S3ImgError:
    """Return what a file system says of a path that a user named as our error; raise what is not about a path."""
    if isinstance(error, S3ImgError):
        return error
    if not error.filename or not error.strerror:
        raise error
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    return AssetError(f"{name}: {error.strerror}.", path=name, fix="Check the name, and who may use it.")


def explain(error: S3ImgError) -> int:
    """Print what went wrong and how to fix it; return the exit code."""
    if isinstance(error, ConfigError):
        click.echo("The settings can't be used:\n" + "\n".join(f"  {problem}" for problem in error.problems), err=True)
    else:
        code = f" [{error.reason}]" if isinstance(error, BucketError) else ""
        click.echo(f"Error: {error}{code}", err=True)
    return error.exit_code
