"""`provenance.toml`: what it may say (`keys`), how it is read, and what is written about it for people and editors.

`python -m doit_provenance.provenance.config docs` writes `docs/provenance.schema.json` and the reference in
`docs/configuration.md` anew from the definitions.
"""

from .keys import FILE, CargoTool, SigningMode
from .model import Cargo, Command, Config, FeatureSet, Plan, Project, Signing
from .model_image import Docker, Oci
from .model_nix import Nix
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
