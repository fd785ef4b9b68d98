"""Images that something else has made: `[oci.NAME]`, from an archive, a layout, an engine or a registry."""

BUILDER = "oci"
