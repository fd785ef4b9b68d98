"""What it costs to make an OCI image of a docker-archive, beside `skopeo copy`: seconds and memory.

    python tests/bench/conversion.py [--megabytes 200] [--runs 5]

The archive is made up: three layers, half of their bytes random. Nothing is asserted: read the figures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

OURS = """
import sys
from pathlib import Path
from doit_provenance.provenance.oci import archive, convert, select, writer
made = writer.LayoutWriter(Path(sys.argv[2]))
found = select.select(archive.read_archive(Path(sys.argv[1]), made), made)
made.finish(convert.to_oci(*found.images.values(), made))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive, target = Path(folder, "archive.tar"), Path(folder, "out")
        _make(archive, given.megabytes << 20)
        tools = {"ours": [sys.executable, "-c", OURS, str(archive), str(target)]}
        if shutil.which("skopeo"):
            tools["skopeo"] = ["skopeo", "copy", "--quiet", f"docker-archive:{archive}", f"oci:{target}:x"]
        for name, argv in tools.items():
            runs = [_run(argv, target) for _ in range(given.runs)]
            seconds = statistics.median(seconds for seconds, _ in runs)
            print(f"{name:8} {given.megabytes} MB  {seconds:.2f} s  {max(kilobytes for _, kilobytes in runs) >> 10} MB")


def _make(path: Path, size: int) -> None:
    """Write a docker-archive of about this size."""
    layers = [_layer(size // 3, number) for number in range(3)]
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    files = {f"{number}/layer.tar": layer for number, layer in enumerate(layers)}
    entry = {"Config": "config.json", "RepoTags": ["x:1"], "Layers": [*files]}
    files["config.json"] = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).encode()
    files["manifest.json"] = json.dumps([entry]).encode()
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            _add(archive, name, content)


def _layer(size: int, number: int) -> bytes:
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        _add(archive, f"file{number}", os.urandom(size // 2) + b"text" * (size // 8))
    return stream.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.size = len(content)
    archive.addfile(header, BytesIO(content))


def _run(argv: list[str], target: Path) -> tuple[float, int]:
    """Run a program; return its seconds, and the most memory that it took in kilobytes."""
    shutil.rmtree(target, ignore_errors=True)
    script = (
        "import resource, subprocess, sys, time\n"
        "began = time.monotonic()\n"
        "subprocess.run(sys.argv[1:], check=True)\n"
        "print(time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *argv], check=True, capture_output=True, text=True)
    seconds, kilobytes = done.stdout.split()
    return float(seconds), int(kilobytes)


if __name__ == "__main__":
    main()
