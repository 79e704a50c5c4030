"""Settings of gunicorn: ``gunicorn -c gunicorn.conf.py 'gallery:create_app()'``."""

import os

bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WORKERS", "2"))
worker_class = "gthread"
threads = 8
timeout = 60
