"""``manage.py s3img sync``: the commands of ``s3img``, with the project's settings, lock and static folders."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandParser

from s3img.cli import HostedGroup
from s3img.cli.command_options import Host


class Command(BaseCommand):
    """Run a command of ``s3img``."""

    help = "Static images of this project in its bucket, and their lock."
    requires_system_checks = ()  # they ask for the lock, which this command writes

    def run_from_argv(self, argv: list[str]) -> None:
        """Let ``manage.py s3img --help`` list the commands; Django's own options are in ``manage.py help s3img``."""
        super().run_from_argv([*argv[:2], "--", "--help"] if {*argv[2:3]} & {"--help", "-h"} else argv)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take everything that follows."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER, help="a command and its options")

    def handle(self, *_: Any, arguments: list[str], **options: Any) -> None:  # noqa: ANN401 - Django's form
        """Run it, and exit with its code, as Django's own commands with an exit code do."""
        app = apps.get_app_config("s3img")
        settings = {"obj": lambda: Host(app.load, app.lock, lambda: app.images.own_folders())}  # noqa: PLW0108 - later
        with redirect_stdout(options.get("stdout") or sys.stdout):  # what call_command was given
            HostedGroup("s3img", help=self.help, context_settings=settings).main(arguments, "manage.py s3img")
