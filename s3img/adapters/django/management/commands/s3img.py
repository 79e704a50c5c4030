"""``manage.py s3img sync`` and ``check``: the project's static folders, with its settings and its lock."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from s3img import S3ImgError


class Command(BaseCommand):
    """Sync or check the images of the static folders that lie below the lock's folder."""

    help = "Put the project's static images into the bucket and write s3img.lock, or compare both."
    requires_system_checks = ()  # they ask for the lock, which this command writes

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the options of both actions."""
        actions = parser.add_subparsers(dest="action", required=True)
        sync = actions.add_parser("sync", help="Put images into the bucket as they are, and write the lock.")
        sync.add_argument("--verify", action="store_true", help="List the bucket, and put again what was removed.")
        sync.add_argument("--prune", action="store_true", help="Drop lines of images that are not on disk.")
        sync.add_argument("--dry-run", action="store_true", help="Only say what there is to do.")
        check = actions.add_parser("check", help="Compare the lock with the images on disk; asks no bucket.")
        check.add_argument("--allow-missing", action="store_true", help="Pass images that are not on disk.")

    def handle(self, *_: Any, action: str, **options: Any) -> None:  # noqa: ANN401 - Django's form
        """Run one action; raise CommandError with the exit code of ``s3img`` for what fails."""
        app = apps.get_app_config("s3img")
        given = {name: options[name] for name in {"allow_missing", "verify", "prune", "dry_run"} & options.keys()}
        try:
            folders = [folder for folder, _, inside in app.folders if inside is not None and folder.is_dir()]
            if action == "sync" and not folders:
                raise CommandError(f"No static folder lies below {app.lock.parent}: set S3IMG_LOCK to a file above.")
            result = getattr(app.images, action)(*folders, lock=app.lock, **given)
        except ImproperlyConfigured as error:
            raise CommandError(f"The settings can't be used: {error}", returncode=3) from error
        except S3ImgError as error:
            raise CommandError(str(error), returncode=error.exit_code) from error
        for finding in result.findings if action == "check" else result.problems + result.notes:
            self.stderr.write(str(finding))
        text = f"{result.images} checked, {len(result.findings)} findings." if action == "check" else str(result)
        if result.exit_code:
            raise CommandError(text, returncode=result.exit_code)
        self.stdout.write(text)
