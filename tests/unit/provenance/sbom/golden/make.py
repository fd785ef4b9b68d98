"""Write each `NAME.inventory.json` beside this file in its canonical form, and its SBOMs anew.

Run `python tests/unit/provenance/sbom/golden/make.py`.
Then read the difference (`git diff`): it is what consumers of the SBOMs will see.
"""

from pathlib import Path

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.sbom import cyclonedx, spdx
from doit_provenance.provenance.sbom.inventory import Inventory

if __name__ == "__main__":
    for path in Path(__file__).parent.glob("*.inventory.json"):
        inventory = Inventory.from_json(path.read_bytes())
        data = inventory.to_json()
        path.write_bytes(data)
        name = path.name.removesuffix(".inventory.json")
        path.with_name(f"{name}.spdx.json").write_bytes(spdx.write(inventory))
        written = cyclonedx.write(inventory, inventory_sha256=digest_bytes(data).sha256)
        path.with_name(f"{name}.cdx.json").write_bytes(written)
