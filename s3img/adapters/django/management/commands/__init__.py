"""Commands of ``manage.py``: each module is one, named after it."""
