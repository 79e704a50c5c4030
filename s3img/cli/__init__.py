"""The command line: data on stdout, messages on stderr; exit codes as in ``docs/cli.md``."""

from __future__ import annotations

import importlib
import sys

import click

from s3img import __version__
from s3img.errors import BucketError, ConfigError, S3ImgError

_COMMANDS = {
    "add": "s3img.cli.sync",
    "apply": "s3img.cli.sync",
    "check": "s3img.cli.sync",
    "completion": "s3img.cli.completion",
    "config": "s3img.cli.configuration",
    "cors": "s3img.cli.bucket_commands",
    "demo": "s3img.cli.demo",
    "doctor": "s3img.cli.doctor",
    "gallery": "s3img.cli.gallery",
    "gc": "s3img.cli.bucket_commands",
    "healthcheck": "s3img.cli.healthcheck",
    "init": "s3img.cli.configuration",
    "large-images": "s3img.cli.commit_checks",
    "ls": "s3img.cli.manage",
    "markdown": "s3img.cli.publish",
    "missing-alt": "s3img.cli.commit_checks",
    "mv": "s3img.cli.manage",
    "picgo": "s3img.cli.picgo",
    "plan": "s3img.cli.sync",
    "probe": "s3img.cli.image_files",
    "publish": "s3img.cli.publish",
    "pull": "s3img.cli.sync",
    "push": "s3img.cli.sync",
    "render": "s3img.cli.bulk_render",
    "restore": "s3img.cli.manage",
    "rm": "s3img.cli.manage",
    "serve": "s3img.cli.serve",
    "sign": "s3img.cli.url",
    "size": "s3img.cli.image_files",
    "sync": "s3img.cli.sync",
    "transform": "s3img.cli.image_files",
    "upload": "s3img.cli.upload",
    "url": "s3img.cli.url",
    "used": "s3img.cli.manage",
}
"""Where each command is; loaded when it is used, so that a quick command does not wait for a slow one's imports."""

INTERRUPTED = 130


class SuggestingGroup(click.Group):
    """A group of commands that names the nearest one for a command that it does not have."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that ``args`` begins with; raise UsageError naming the nearest one."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            import difflib  # most commands are there

            near = difflib.get_close_matches(name.lower()[:40], self.list_commands(ctx), n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"{ctx.command_path} --help lists them all."
            ctx.fail(f"No such command {name!r}. {hint}")
        return super().resolve_command(ctx, args)


class LazyGroup(SuggestingGroup):
    """The commands of ``s3img``; each module is loaded when its command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load a command; return None for a name that is none."""
        if cmd_name not in _COMMANDS:
            return None
        name = f"{cmd_name.replace('-', '_')}_command"
        command: click.Command = getattr(importlib.import_module(_COMMANDS[cmd_name]), name)
        return command


_SITE_COMMANDS = frozenset({"demo", "gallery", "init", "markdown", "picgo", "publish", "serve"})
"""Commands of built sites and of programs of their own, which have nothing to do with an application's images."""


class HostedGroup(LazyGroup):
    """The commands of ``s3img`` inside another program (``flask s3img``); ``obj`` of its context is its `Host`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands that make sense there."""
        return [name for name in super().list_commands(ctx) if name not in _SITE_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; return None for one that makes no sense there."""
        return super().get_command(ctx, cmd_name) if cmd_name not in _SITE_COMMANDS else None

    def invoke(self, ctx: click.Context) -> None:
        """Run a command and exit; what it returns is the exit code."""
        try:
            code = super().invoke(ctx)
        except S3ImgError as error:
            code = explain(error)
        ctx.exit(code or 0)


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="s3img")
def group() -> None:
    """Write plain image references; get responsive, modern, bucket-hosted pictures."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit; every failure is one message and a code that says what kind it is."""
    try:
        sys.exit(group.main(arguments, prog_name="s3img", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted. What was done stays done; run the command again to go on.", err=True)
        sys.exit(INTERRUPTED)
    except S3ImgError as error:
        if "--json" in (sys.argv[1:] if arguments is None else arguments):
            import json  # most runs don't fail

            facts = {"code": error.reason, "message": error.message, "fix": error.fix, "exit_code": error.exit_code}
            click.echo(json.dumps({"schema": 1, "error": facts}, ensure_ascii=False))
        sys.exit(explain(error))


def explain(error: S3ImgError) -> int:
    """Print what went wrong and how to fix it; return the exit code."""
    if isinstance(error, ConfigError):
        click.echo("The settings can't be used:\n" + "\n".join(f"  {problem}" for problem in error.problems), err=True)
    else:
        code = f" [{error.reason}]" if isinstance(error, BucketError) else ""
        click.echo(f"Error: {error}{code}", err=True)
    return error.exit_code
