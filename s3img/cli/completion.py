"""``s3img completion SHELL``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
# click keeps the lines of a paragraph that begins with a backspace.
START_UP = """\b
bash, in ~/.bashrc:  eval "$(s3img completion bash)"
zsh, in ~/.zshrc:    eval "$(s3img completion zsh)"
fish, once:          s3img completion fish > ~/.config/fish/completions/s3img.fish
"""


@click.command("completion", epilog=START_UP)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print the code that lets SHELL complete the commands and options of s3img."""
    kind = get_completion_class(shell)
    if kind is None:  # click has these three since version 8.0
        raise click.UsageError(f"This version of click can't complete in {shell}.")
    click.echo(kind(ctx.find_root().command, {}, "s3img", "_S3IMG_COMPLETE").source())
