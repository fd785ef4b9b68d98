from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from license_expression import get_spdx_licensing

from doit_provenance.provenance.sbom import licence

SPDX = get_spdx_licensing()
OURS = re.escape(licence.REFERENCE)

_LISTED = (
    "MIT",
    "mit",
    "Apache-2.0",
    "GPL-2.0",
    "GPL-2.0+",
    "MPL-2.0+",
    "LGPL-3.0-only+",
    "LLVM-exception",
    "eCos-2.0",
)
_UNLISTED = ("Tea", "Tea_1", "LicenseRef-Tea", "DocumentRef-a:LicenseRef-b", "é", "MIT++", "A.B-1")
_WORDS = st.sampled_from((*_LISTED, *_UNLISTED, "GPL-2.0-with-GCC-exception"))
_OPERATORS = st.sampled_from([" OR ", " AND ", " or ", "/", " / ", " WITH ", " ", " (", ") ", ","])
_SENTENCES = st.lists(st.one_of(_WORDS, _OPERATORS), max_size=12).map("".join)
_COMMON = st.sampled_from(["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception", "Zlib"])
_CHAINS = ("{}", "{} OR {}", "{} AND {}", "{} OR {} OR {}", "{} AND {} OR {}")
_NESTED = ("({})", "( {} OR {} ) AND {}", "({} OR {}) OR {}", "{} AND ({} OR ({} AND {}))")
_GROUPED = ("({} OR {}) AND {}", "{} OR ({} AND {})", "({} AND {}) OR {}", "({} OR {}) AND ({} OR {})")
_FORMS = st.sampled_from((*_CHAINS, *_NESTED, *_GROUPED))


@pytest.mark.parametrize(
    ("declared", "expression"),
    [
        ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
        ("MIT / Apache-2.0", "MIT OR Apache-2.0"),
        ("Unlicense/MIT/ISC", "Unlicense OR MIT OR ISC"),
        ("Apache-2.0 WITH LLVM-exception/MIT", "Apache-2.0 WITH LLVM-exception OR MIT"),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("  MIT\n OR\tApache-2.0 ", "MIT OR Apache-2.0"),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", "(MIT OR Apache-2.0) AND Unicode-3.0"),
        ("MIT OR Apache-2.0 AND ISC", "MIT OR (Apache-2.0 AND ISC)"),
        ("apache-2.0 with llvm-exception or mit", "Apache-2.0 WITH LLVM-exception OR MIT"),
        ("(MIT OR ISC) OR Zlib", "MIT OR ISC OR Zlib"),
        ("GPL-2.0", "GPL-2.0-only"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("LGPL-3.0-only+", "LGPL-3.0-or-later"),
        ("MPL-2.0+", "MPL-2.0+"),
        ("GPL-2.0-with-classpath-exception", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("GPL 2.0", "GPL-2.0-only"),
        ("LicenseRef-Apache", "LicenseRef-Apache"),
    ],
)
def test_means_what_was_declared(declared: str, expression: str) -> None:
    assert licence.normalise(declared) == expression


@pytest.mark.parametrize("declared", ["", " \t\n", "NOASSERTION", "none"])
def test_nothing_declared(declared: str) -> None:
    assert licence.normalise(declared) is None


@pytest.mark.parametrize(
    ("declared", "expression"),
    [
        ("BSD", rf"{OURS}BSD"),
        ("MIT AND Tea", rf"MIT AND {OURS}Tea"),
        ("Tea WITH LLVM-exception", rf"{OURS}Tea WITH LLVM-exception"),
        # SPDX 2.3 has no name for an exception of one's own, none for two, none for another document's licence.
        ("MIT WITH Tea", rf"{OURS}MIT-WITH-Tea-[0-9a-f]{{8}}"),
        ("eCos-2.0 WITH LLVM-exception", rf"{OURS}eCos-2.0-WITH-LLVM-exception-[0-9a-f]{{8}}"),
        ("DocumentRef-a:LicenseRef-b", rf"{OURS}DocumentRef-a-LicenseRef-b-[0-9a-f]{{8}}"),
        ("see LICENCE.txt", rf"{OURS}see-LICENCE.txt-[0-9a-f]{{8}}"),
        ("MIT, ISC", rf"{OURS}MIT-ISC-[0-9a-f]{{8}}"),
        ("MIT/", rf"{OURS}MIT-[0-9a-f]{{8}}"),
        ("MIT OR OR", rf"{OURS}MIT-OR-OR-[0-9a-f]{{8}}"),
        ("https://tea.example/licence", rf"{OURS}https-tea.example-licence-[0-9a-f]{{8}}"),
        ("()", rf"{OURS}[0-9a-f]{{8}}"),
        ("(/0", rf"{OURS}0-[0-9a-f]{{8}}"),
        ("MIT (ISC)", rf"{OURS}MIT-ISC-[0-9a-f]{{8}}"),
        ("MIT) OR (ISC", rf"{OURS}MIT-OR-ISC-[0-9a-f]{{8}}"),
        ("MIT WITH (Tea)", rf"{OURS}MIT-WITH-Tea-[0-9a-f]{{8}}"),
        ("\ud800", rf"{OURS}[0-9a-f]{{8}}"),
        ("x" * 2000, rf"{OURS}x{{48}}-[0-9a-f]{{8}}"),
        ("(" * 600 + "Tea" + ")" * 600, rf"{OURS}Tea-[0-9a-f]{{8}}"),
        ("Tea OR " * 100 + "Tea", rf"{OURS}Tea-OR-[A-Za-z-]*-[0-9a-f]{{8}}"),
    ],
)
def test_names_what_is_on_no_list(declared: str, expression: str) -> None:
    found = licence.normalise(declared)
    assert found is not None
    assert re.fullmatch(expression, found)


def test_takes_deep_nesting_apart() -> None:
    declared = "ISC AND (MIT OR (" * 50 + "Zlib AND X11" + "))" * 50
    assert licence.normalise(declared) == declared


def test_different_texts_never_become_one_licence() -> None:
    names = {licence.normalise(text) for text in ("Tea Licence", "Tea-Licence", "Tea, Licence", "Tea Licence!")}
    assert len(names) == 4


@settings(deadline=None)
@given(declared=st.one_of(st.text(), _SENTENCES, st.text(alphabet="()MIT /+OR-")))
def test_always_a_valid_expression(declared: str) -> None:
    """Whatever makers write: every name is listed or a reference, and a second pass changes nothing."""
    expression = licence.normalise(declared)
    if expression is None:
        assert not declared.strip() or declared.strip().upper() in {"NONE", "NOASSERTION"}
        return
    strict = licence.without_plus(expression)
    unknown = {str(name) for name in SPDX.unknown_license_keys(strict)}
    assert unknown <= licence.references(strict)
    assert not SPDX.validate(strict, strict=True).errors or unknown
    assert str(SPDX.parse(strict)) == strict
    assert licence.normalise(expression) == expression


@settings(deadline=None)
@given(form=_FORMS, words=st.lists(_COMMON, min_size=4, max_size=4))
def test_the_short_way_agrees_with_the_library(form: str, words: list[str]) -> None:
    declared = form.format(*words)
    assert licence.normalise(declared) == licence._parsed(declared)


def test_common_names_are_spelled_as_on_the_list() -> None:
    licences, exceptions = licence._listed()
    for letter, listed in (("L", licences), ("E", exceptions)):
        common = [name for name, found in licence._LETTER.items() if found == letter]
        assert common
        assert [listed[name.lower()] for name in common] == common


def test_common_expressions_need_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "license_expression", None)
    licence.normalise.cache_clear()
    assert licence.normalise("(MIT/Apache-2.0) AND Unicode-3.0") == "(MIT OR Apache-2.0) AND Unicode-3.0"
    with pytest.raises(ImportError):
        licence.normalise("a licence that has to be looked up")


def test_or_later_is_spelled_out() -> None:
    strict = licence.without_plus("MPL-2.0+ OR (Apache-2.0 AND LicenseRef-Tea)")
    assert strict == f"{licence.REFERENCE}or-later-MPL-2.0 OR (Apache-2.0 AND LicenseRef-Tea)"
    assert licence.references(strict) == {f"{licence.REFERENCE}or-later-MPL-2.0", "LicenseRef-Tea"}
    assert "any later version" in licence.explain(f"{licence.REFERENCE}or-later-MPL-2.0")
    assert "`Tea`" in licence.explain("LicenseRef-Tea")
