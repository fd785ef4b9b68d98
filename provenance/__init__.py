"""Evidence: values, formats, signatures and their verification. Knows neither doit nor any build tool."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("doit-provenance")
except PackageNotFoundError:  # read from a checkout that is not installed
    VERSION = "0+unknown"

INVENTORY_PROPERTY = "doit-provenance:inventory-sha256"
"""The property of a CycloneDX document's metadata that ties the inventory to what is signed: written by `sbom`, held by
`verify`, which don't know each other."""
