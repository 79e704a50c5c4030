"""s3img in other people's programs: Sphinx, Starlette and FastAPI, Django. They adapt; no decision is made here."""
