"""s3img for MkDocs: ``plugins: [s3img]``."""
