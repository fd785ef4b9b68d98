"""Evidence: values, formats, signatures and their verification. Knows neither doit nor any build tool."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("doit-provenance")
except PackageNotFoundError:  # read from a checkout that is not installed
    VERSION = "0+unknown"
