"""The keys of OCI's own annotations (image-spec v1.1, annotations.md, "Pre-Defined Annotation Keys")."""

PREFIX = "org.opencontainers.image."
CREATED = f"{PREFIX}created"
AUTHORS = f"{PREFIX}authors"
URL = f"{PREFIX}url"
DOCUMENTATION = f"{PREFIX}documentation"
SOURCE = f"{PREFIX}source"
VERSION = f"{PREFIX}version"
REVISION = f"{PREFIX}revision"
VENDOR = f"{PREFIX}vendor"
LICENSES = f"{PREFIX}licenses"
TITLE = f"{PREFIX}title"
DESCRIPTION = f"{PREFIX}description"
BASE_NAME = f"{PREFIX}base.name"
BASE_DIGEST = f"{PREFIX}base.digest"
KEYS = (
    *(CREATED, AUTHORS, URL, DOCUMENTATION, SOURCE, VERSION, REVISION, VENDOR, LICENSES, TITLE, DESCRIPTION),
    *(BASE_NAME, BASE_DIGEST),
)
"""Those of the specification that say something of the image; `ref.name` says something of a layout."""
