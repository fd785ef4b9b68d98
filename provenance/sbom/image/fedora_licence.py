"""Names of licences in RPM packages from before 2022 (Fedora, Callaway system): what they are on the SPDX list."""

from __future__ import annotations

import re

_OPERATOR = re.compile(r"(\(|\)|(?<![^\s()])(?:and|or|with)(?![^\s()]))", re.IGNORECASE)
_GNU = re.compile(r"(?P<name>AGPL|LGPL|GPL)v(?P<version>\d(?:\.\d)?)(?P<later>\+?)")
_SHORT_NAMES = {
    "ASL 1.1": "Apache-1.1",
    "ASL 2.0": "Apache-2.0",
    "Artistic": "Artistic-1.0-Perl",
    "Artistic 2.0": "Artistic-2.0",
    "Boost": "BSL-1.0",
    "CC0": "CC0-1.0",
    "GPL+": "GPL-1.0-or-later",
    "LGPL+": "LGPL-2.0-or-later",
    "MPLv1.0": "MPL-1.0",
    "MPLv1.1": "MPL-1.1",
    "MPLv2.0": "MPL-2.0",
    "OpenLDAP": "OLDAP-2.8",
    "PSF": "PSF-2.0",
    "Vim": "Vim",
    "zlib": "Zlib",
}
"""Those that stand for one licence; others, as `BSD` and `MIT`-like ones, were for whole families."""
_LONGEST = 1000


def spelled(text: str) -> str:
    """Return a declaration with the names that the SPDX list has; each of the others is one word.

    What is an expression of SPDX's already stays as it is.
    """
    if len(text) > _LONGEST:
        return text
    parts = (part.strip() for part in _OPERATOR.split(text))
    return " ".join(part if _OPERATOR.fullmatch(part) else _name(part) for part in parts if part)


def _name(text: str) -> str:
    words = " ".join(text.split())
    if known := _SHORT_NAMES.get(words):
        return known
    if match := _GNU.fullmatch(words):
        version = match["version"] if "." in match["version"] else f"{match['version']}.0"
        return f"{match['name']}-{version}-{'or-later' if match['later'] else 'only'}"
    return words.replace(" ", "-")
