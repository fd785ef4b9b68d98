from __future__ import annotations

import pytest

from doit_provenance.provenance.sbom.image.fedora_licence import spelled
from doit_provenance.provenance.sbom.licence import normalise


@pytest.mark.parametrize(
    ("declared", "expression"),
    [
        ("GPLv2+", "GPL-2.0-or-later"),
        ("LGPLv2.1", "LGPL-2.1-only"),
        ("AGPLv3", "AGPL-3.0-only"),
        ("GPL+", "GPL-1.0-or-later"),
        ("(LGPLv3+ or GPLv2+) and GPLv3+", "(LGPL-3.0-or-later OR GPL-2.0-or-later) AND GPL-3.0-or-later"),
        ("MIT and (ISC or ASL 2.0)", "MIT AND (ISC OR Apache-2.0)"),
        ("OpenSSL and ASL 2.0", "OpenSSL AND Apache-2.0"),
        ("MIT AND Apache-2.0 WITH LLVM-exception", "MIT AND Apache-2.0 WITH LLVM-exception"),
        ("BSD", "LicenseRef-doit-provenance-BSD"),
        ("zlib and Public Domain", "Zlib AND LicenseRef-doit-provenance-Public-Domain"),
        ("MPLv2.0 and organdy", "MPL-2.0 AND LicenseRef-doit-provenance-organdy"),
    ],
)
def test_names(declared: str, expression: str) -> None:
    assert normalise(spelled(declared)) == expression


def test_exceptions_that_are_not_named_stay_with_their_licence() -> None:
    found = normalise(spelled("GPLv3+ with exceptions and BSD"))
    assert found is not None
    assert found.startswith("LicenseRef-doit-provenance-GPL-3.0-or-later-WITH-exceptions-")


@pytest.mark.parametrize("text", ["", "and", "(((", "x" * 5000, "a or", "( and )"])
def test_any_text_can_be_normalised(text: str) -> None:
    assert normalise(spelled(text)) != ""
