"""OCI images: their documents, the folder layout, archives, and what becomes of a docker image (image-spec v1.1)."""
