"""The Django app: ``INSTALLED_APPS = [..., "s3img.adapters.django"]``; pages read ``s3img.lock`` and ask no bucket."""
