"""Licences in Debian's machine-readable copyright files (copyright-format 1.0)."""

from __future__ import annotations

import re

from ..package import first, paragraphs

_FORMAT = re.compile(r"Format(?:-Specification)?:\s*https?://\S*copyright-format", re.IGNORECASE)
_SHORT_NAMES = {
    "expat": "MIT",
    "gpl-1": "GPL-1.0-only",
    "gpl-2": "GPL-2.0-only",
    "gpl-3": "GPL-3.0-only",
    "lgpl-2": "LGPL-2.0-only",
    "lgpl-3": "LGPL-3.0-only",
    "agpl-3": "AGPL-3.0-only",
    "apache-2": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "cc0": "CC0-1.0",
    "zlib/libpng": "Zlib",
}
"""Names of the format (section 7.1) that the SPDX licence list has under another one."""
_MOST, _LARGEST, _LONGEST = 32, 1 << 20, 500
"""Licences of one package, characters of its file and of one licence's name that are read."""
_OPERATOR = re.compile(r",?\s+(and|or)\s+|\s*/\s*", re.IGNORECASE)


def declared(copyright_file: str) -> str | None:
    """Return the licences of a package's files as an expression that holds of all of them; `None`: not told so.

    A package is a collection: whoever passes it on is bound by each of its files' licences.
    """
    if len(copyright_file) > _LARGEST or not _FORMAT.match(copyright_file.lstrip()):
        return None
    found = set()
    for paragraph in paragraphs(copyright_file):
        text = (first(paragraph, "license") or "").partition("\n")[0].strip()
        if len(text) > _LONGEST:
            return None
        if "files" in paragraph and text:
            found.add(_expression(text))
    if not found or len(found) > _MOST:
        return None
    return " AND ".join(f"({text})" if " " in text and len(found) > 1 else text for text in sorted(found))


def _expression(text: str) -> str:
    parts = _OPERATOR.split(text.removesuffix(","))
    names = [_name(part.strip()) for part in parts[::2]]
    words = [f" {(operator or 'or').upper()} " for operator in parts[1::2]]
    return "".join(name + word for name, word in zip(names, [*words, ""], strict=True))


def _name(text: str) -> str:
    """Return one licence: `GPL-2+` is `GPL-2.0-or-later`; what is on no list stays one word."""
    base, plus = text.removesuffix("+"), text.endswith("+")
    known = _SHORT_NAMES.get(base.lower())
    if known is None:
        return "-".join(text.split())
    return known.replace("-only", "-or-later") if plus and known.endswith("-only") else known
