"""Any S3-compatible store, through botocore."""
