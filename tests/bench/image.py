"""What the inventory of an image costs, beside a scanner on the same image: seconds, ratios, and packages of each.

    python tests/bench/image.py LAYOUT [--syft PATH] [--runs 3]

LAYOUT is an OCI image layout that holds one image. `--syft` names the scanner; without it that of the tools folder is
taken (`tests/tools/install --where`). Each run is a process of its own, so that the time to start is in both figures.
Nothing is asserted: read the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from doit_provenance.provenance.oci.layout import opened_layout
from doit_provenance.provenance.oci.model import Manifest
from doit_provenance.provenance.sbom.image.attribution import Attribution, attribute
from doit_provenance.provenance.sbom.image.scan import scan

ALONE = "--scan-alone"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("layout", type=Path)
    parser.add_argument("--syft", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(ALONE, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.scan_alone:
        print(json.dumps(_told(_attribution(given.layout))))
        return
    ours, theirs = [], []
    told: dict[str, object] = {}
    found: list[dict[str, str]] = []
    for _ in range(given.runs):
        seconds, said = _timed([sys.executable, __file__, str(given.layout), ALONE])
        ours.append(seconds)
        told = json.loads(said)
        seconds, said = _timed([str(given.syft or _syft()), "scan", f"oci-dir:{given.layout}", "-o", "json", "-q"])
        theirs.append(seconds)
        found = json.loads(said)["artifacts"]
    _print(ours, theirs, told, found)


def _attribution(path: Path) -> Attribution:
    with opened_layout(path) as layout:
        manifest = layout.manifest(layout.root)
        if not isinstance(manifest, Manifest):
            raise SystemExit(f"{path} holds an index, not one image")
        return attribute(scan(layout, manifest), {}, {})


def _told(found: Attribution) -> dict[str, object]:
    packages = [p.component for p in found.scan.packages]
    linked = [c for each in found.scan.linked.values() for one in each for c in (one.main, *one.components.values())]
    return {
        "packages": sorted({(c.name, c.version) for c in (*packages, *linked)}, key=str),
        "files": len(found.files),
        "bytes": sum(file.size for file in found.files),
        "by": Counter(file.attributed_to for file in found.files),
        "unread": [str(one) for one in found.scan.unread],
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def _syft() -> Path:
    install = Path(__file__).parents[1] / "tools" / "install"
    done = subprocess.run(["sh", str(install), "--where"], capture_output=True, check=True, text=True)
    return Path(done.stdout.strip(), "bin", "syft")


def _timed(argv: list[str]) -> tuple[float, bytes]:
    start = time.perf_counter()
    done = subprocess.run(
        argv, capture_output=True, check=True, env=os.environ | {"SYFT_CHECK_FOR_APP_UPDATE": "false"}
    )
    return time.perf_counter() - start, done.stdout


def _print(ours: list[float], theirs: list[float], told: dict[str, object], found: list[dict[str, str]]) -> None:
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"files {told['files']}, {told['bytes']} bytes; memory {told['memory']} KiB; explained by {told['by']}")
    print(f"scan {mine:.2f} s, syft {other:.2f} s: {other / mine:.2f} times as fast (medians of {len(ours)})")
    packages = told["packages"]
    assert isinstance(packages, list)
    known = {_plain(name, version) for name, version in packages}
    kinds = Counter(one["type"] for one in found)
    missing = [one for one in found if _plain(one["name"], one["version"]) not in known]
    print(f"packages {len(known)}; syft {dict(kinds)}; of these not found: {len(missing)}")
    for one in missing:
        print(f"  {one['type']} {one['name']} {one['version']}")
    for line in told["unread"] if isinstance(told["unread"], list) else ():
        print(f"  not read: {line}")


def _plain(name: str, version: str | None) -> tuple[str, str]:
    return re.sub(r"[-_.]+", "-", name).lower(), (version or "UNKNOWN").removeprefix("go")


if __name__ == "__main__":
    main()
