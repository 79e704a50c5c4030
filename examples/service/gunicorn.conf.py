"""gunicorn -c gunicorn.conf.py 's3img.service:create_app()'; see docs/service.md for the S3IMG_* variables."""

import os

from gunicorn.workers.base import Worker

bind = "0.0.0.0:8000"
workers = int(os.environ.get("WEB_CONCURRENCY", os.cpu_count() or 1))  # rendering takes processors
worker_class = "gthread"
# More than requests may wait for pictures (service.fetches + renders + queue): what is there is then answered at once.
threads = 96 + (os.cpu_count() or 1)
keepalive = 75  # longer than the proxy keeps connections open
graceful_timeout = 40  # longer than service.seconds: requests under way are finished
timeout = 60
control_socket_disable = True  # newer versions want a folder for it, which neither the unit nor the container has
max_requests = 50_000  # memory that codecs have scattered comes back
max_requests_jitter = 5_000


def worker_exit(_: object, worker: Worker) -> None:
    """Store what is still to be stored."""
    worker.wsgi.close()


def child_exit(_: object, worker: Worker) -> None:
    """Take the numbers of a worker that has ended out of the sums."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)
