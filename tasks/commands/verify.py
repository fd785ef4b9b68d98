"""`doit verify`: does the evidence hold? Offline; artifacts of the workspace, folders of the output, or lone files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...provenance import config
from ...provenance.attest import bundle as bundle_format
from ...provenance.attest.statement import CYCLONEDX, PROVENANCE, SPDX
from ...provenance.digest import Digest, digest_file, read_limited
from ...provenance.errors import ProvenanceError, UnreadableError, UsageError, VerificationError, quoted
from ...provenance.fs.folder import steady
from ...provenance.oci import LAYOUT_FILE
from ...provenance.record import IMAGE, RECORD_SUFFIX, file_names
from ...provenance.sign.keyfile import default_key_path, public_path
from ...provenance.verify.trust import Trust, TrustedKey, trust_for
from ...provenance.verify.verifier import VerifiedArtifact, verify_bundle, verify_folder
from .base import WorkspaceCommand, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ENDINGS = file_names("")
BUNDLE_KINDS = {
    _ENDINGS.provenance_bundle: PROVENANCE,
    _ENDINGS.spdx_bundle: SPDX,
    _ENDINGS.cyclonedx_bundle: CYCLONEDX,
}
"""How a bundle's name ends, to the predicate type that it promises."""
OPT_KEY = {
    "name": "keys",
    "long": "key",
    "type": list,
    "default": [],
    "help": "trust this public key (PEM) and no other; may be given several times",
}
_OPT_BUNDLE = {
    "name": "bundles",
    "long": "bundle",
    "type": list,
    "default": [],
    "help": "verify WHAT, a file or image layout, against this bundle; may be given several times; default: those "
    "beside the file",
}


def trust_of(keys: Sequence[str]) -> Trust:
    """Return whom to trust here: the keys of the command line, else the workspace's and the user's own."""
    settings = config.load(Path.cwd()).signing
    configured, own = settings.public_keys, public_path(default_key_path(os.environ))
    if settings.key is not None and os.path.lexists(public_path(settings.key)):
        # The workspace names it, so it is trusted for the workspace's sake, not as the user's own.
        configured = (*configured, public_path(settings.key))
    return trust_for(keys=[Path(k) for k in keys], configured=configured, own=own)


class Verify(WorkspaceCommand):
    """Verifies; prints a line for each artifact that holds, and for each that does not why."""

    name = "verify"
    doc_purpose = "verify artifacts and their evidence, offline"
    doc_usage = "[WHAT ...]"
    doc_description = (
        "WHAT is a file, an OCI image layout, a folder of artifacts, or a task (wildcards too); without any, the whole "
        "workspace. "
        "Ends with 0: all verified, 1: something did not verify, 2: wrong usage or unreadable input."
    )
    cmd_options = (OPT_KEY, _OPT_BUNDLE)

    def run(self, params: Any, args: list[str]) -> int:
        """Verify everything that was asked for, and only then say how it ends."""
        bundles = [Path(b) for b in params["bundles"]]
        paths = [Path(a) for a in args if os.path.lexists(a)]
        names = [a for a in args if not os.path.lexists(a)]
        if bundles and names:
            raise UsageError(f"there is no file {quoted(names[0])}", hint="`--bundle` goes with exactly one file")
        if bundles and (len(paths) != 1 or (paths[0].is_dir() and not is_layout(paths[0]))):
            raise UsageError(
                "`--bundle` goes with exactly one file or image layout", hint="name what the bundle is about"
            )
        trust = trust_of(params["keys"])
        worst = 0
        for check in self._checks(paths, names, bundles, trust):
            try:
                for line in check():
                    sys.stdout.write(f"{printable(line)}\n")
            except ProvenanceError as error:
                sys.stdout.write(f"not verified  {error}\n")
                worst = max(worst, error.exit_code)
        return worst

    def _checks(self, paths: list[Path], names: list[str], bundles: list[Path], trust: Trust) -> Iterator[Any]:
        for path in paths:
            if path.is_dir() and not is_layout(path):
                folders = artifact_folders(path)
                yield from (lambda f=f: _folder(f, trust) for f in folders)
            elif not bundles and stands_in_its_folder(path):
                yield lambda p=path: _folder(p.parent, trust)
            else:
                yield lambda p=path: _file(p, bundles, trust)
        if names or not paths:
            for session, artifact in self.artifacts(names):
                folder = session.workspace.output / artifact.folder
                yield lambda f=folder, i=artifact.id: _folder(f, trust, i)


def is_layout(path: Path) -> bool:
    """Tell whether an OCI image layout lies here (OCI image-spec, image-layout.md)."""
    return path.is_dir() and (path / LAYOUT_FILE).is_file()


def stands_in_its_folder(path: Path) -> bool:
    """Tell whether a file or image layout has a record beside it, so that its folder is an artifact's."""
    if is_layout(path):
        return path.name == IMAGE and any(path.parent.glob(f"*{RECORD_SUFFIX}"))
    return (path.parent / file_names(path.name).record).exists()


def artifact_folders(path: Path) -> list[Path]:
    """Return the artifacts' folders at and below `path`, sorted; one that lost its record is one too.

    Raises:
        UnreadableError: there is none.
    """
    telling = (RECORD_SUFFIX, *BUNDLE_KINDS)
    found = sorted({p.parent for p in path.rglob("*.json") if p.name.endswith(telling) and not _hidden(p.parent, path)})
    if not found:
        raise UnreadableError(
            f"no artifact lies in {quoted(str(path))}", hint="an artifact's folder has a file `NAME.record.json`"
        )
    return found


def _hidden(folder: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in folder.relative_to(root).parts)


def verified(folder: Path, trust: Trust, expected: str | None) -> VerifiedArtifact:
    """Verify an artifact's folder; with `expected`, it must be there and be the one of that id.

    Raises:
        UnreadableError: it is no artifact's folder.
        VerificationError: it is not there, is another artifact's, or something in it does not hold.
    """
    if expected is not None and not folder.exists():
        raise VerificationError(f"`{expected}`: it is not in the output folder", hint="build it first")
    found = verify_folder(folder, trust=trust)
    if expected is not None and found.record.artifact != expected:
        raise VerificationError(f"`{expected}`: its folder holds `{found.record.artifact}`")
    return found


def _folder(folder: Path, trust: Trust, expected: str | None = None) -> Iterator[str]:
    found = steady(folder, lambda: verified(folder, trust, expected))
    yield f"verified  {found.record.artifact}  {found.digest}"
    yield from (_signed_by(key) for key in found.signers)


def _file(path: Path, bundles: list[Path], trust: Trust) -> Iterator[str]:
    digest = _digest(path)
    names = file_names(path.name)
    beside = [path.parent / n for n in (names.provenance_bundle, names.spdx_bundle, names.cyclonedx_bundle)]
    chosen = bundles or [p for p in beside if os.path.lexists(p)]
    if not chosen:
        raise UnreadableError(
            f"no bundle lies beside {quoted(str(path))}",
            hint=f"`--bundle FILE` names one; looked for {quoted(beside[0].name)}, …",
        )
    for bundle in chosen:
        yield from _bundle(path, digest, bundle, trust)


def _digest(path: Path) -> Digest:
    """Digest a lone file, or the manifest of an image whose blobs are then known to be those that it names."""
    if not is_layout(path):
        return digest_file(path)
    from ...provenance.oci.layout import verify_layout

    return verify_layout(path).digest


def _bundle(path: Path, digest: Digest, bundle: Path, trust: Trust) -> Iterator[str]:
    """Verify one bundle; where its name promises a kind of statement, it must hold that kind."""
    promised = next((kind for suffix, kind in BUNDLE_KINDS.items() if bundle.name.endswith(suffix)), None)
    try:
        found = verify_bundle(
            read_limited(bundle, bundle_format.LIMIT), artifact=digest, trust=trust, predicate_type=promised
        )
    except VerificationError as error:
        raise VerificationError(
            f"{quoted(str(path))} by {quoted(str(bundle))}: {error.message}", hint=error.hint
        ) from error
    except UnreadableError as error:
        raise UnreadableError(f"{quoted(str(bundle))}: {error.message}", hint=error.hint) from error
    yield f"verified  {path}  {digest}  {found.statement.predicate_type}"
    yield _signed_by(found.signer)


def _signed_by(key: TrustedKey) -> str:
    return f"          signed by {key.hint}, from {key.origin}"
