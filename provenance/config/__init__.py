"""`provenance.toml`: its keys (`model`), how it is read, and what is generated from the keys for people and editors.

`python -m doit_provenance.provenance.config docs` writes `docs/provenance.schema.json` and the reference in
`docs/configuration.md`.
"""

from .model import (
    FILE,
    Cargo,
    CargoTool,
    Command,
    Config,
    Docker,
    FeatureSet,
    Nix,
    Oci,
    Plan,
    Project,
    Signing,
    SigningMode,
)
from .reader import load, parse

__all__ = [
    "FILE",
    "Cargo",
    "CargoTool",
    "Command",
    "Config",
    "Docker",
    "FeatureSet",
    "Nix",
    "Oci",
    "Plan",
    "Project",
    "Signing",
    "SigningMode",
    "load",
    "parse",
]
