"""`python -m doit_provenance.provenance.config DOCS`: write the JSON Schema and the reference from the declarations."""

from __future__ import annotations

import argparse
from pathlib import Path

from .docs import to_json, with_reference


def main() -> None:
    """Write `provenance.schema.json` and the reference in `configuration.md` into the given folder."""
    parser = argparse.ArgumentParser(prog="python -m doit_provenance.provenance.config", description=__doc__)
    parser.add_argument("docs", type=Path, metavar="DOCS", help="the docs folder of a checkout")
    docs: Path = parser.parse_args().docs
    page = docs / "configuration.md"
    page.write_text(with_reference(page.read_text(encoding="utf-8")), encoding="utf-8")
    (docs / "provenance.schema.json").write_text(to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
