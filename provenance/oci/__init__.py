"""OCI images: manifests, layouts, archives, registries, and conversion of docker images (image-spec v1.1)."""

LAYOUT_FILE = "oci-layout"
"""The file that marks an image layout (image-spec v1.1, image-layout.md)."""
