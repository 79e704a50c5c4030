"""Pictures that people upload at run time: checked, cleaned, named and put; nothing is stored when anything fails."""

from s3img.uploads.policy import Conflict, Metadata, UploadPolicy
from s3img.uploads.save import Uploaded, UploadedVariant, Uploader
from s3img.uploads.template import UploadFields, UploadTemplate, ulid

__all__ = [
    "Conflict",
    "Metadata",
    "UploadFields",
    "UploadPolicy",
    "UploadTemplate",
    "Uploaded",
    "UploadedVariant",
    "Uploader",
    "ulid",
]
