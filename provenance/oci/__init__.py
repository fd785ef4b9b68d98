"""OCI images: their documents, the folder layout, archives, and what becomes of a docker image (image-spec v1.1)."""

LAYOUT_FILE = "oci-layout"
"""Name of the file that an image layout is known by (image-spec v1.1, image-layout.md)."""
