"""Licence expressions: what the makers of a package declare, as valid SPDX (SPDX 2.3, annex D).

Most packages declare one of a few expressions. Those are recognised without the licence list, which takes longer to
load than both SBOMs take to write.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from ..digest import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

REFERENCE = "LicenseRef-doit-provenance-"
"""Prefix of our own references, which includes who named the licence (BSI TR-03183-2, 6.1)."""

_OR_LATER = f"{REFERENCE}or-later-"
_LONGEST = 1000
_LONGEST_NAME = 48
_VALID_REFERENCE = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")
_PLUS = re.compile(r"(?<![A-Za-z0-9.-])([A-Za-z0-9.-]+)\+")
_TOKEN = re.compile(r"[()]|[^\s()]+")

_LETTER = {
    "AND": "&",
    "OR": "|",
    "WITH": "+",
    "(": "(",
    ")": ")",
    # The licences and exceptions of nearly all crates.
    **dict.fromkeys(("0BSD", "Apache-2.0", "BSD-1-Clause", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0"), "L"),
    **dict.fromkeys(("CC0-1.0", "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "NCSA", "OpenSSL"), "L"),
    **dict.fromkeys(("GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later"), "L"),
    **dict.fromkeys(("LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later"), "L"),
    **dict.fromkeys(("AGPL-3.0-only", "AGPL-3.0-or-later", "PSF-2.0", "Unicode-3.0", "Unicode-DFS-2016"), "L"),
    **dict.fromkeys(("Unlicense", "WTFPL", "Zlib"), "L"),
    **dict.fromkeys(("Classpath-exception-2.0", "GCC-exception-3.1", "LLVM-exception"), "E"),
}
_ONE = r"L(?:\+E)?"
_COMMON_SHAPE = re.compile(
    rf"{_ONE}"
    rf"|(?:{_ONE}|\({_ONE}(?:&{_ONE})+\))(?:\|(?:{_ONE}|\({_ONE}(?:&{_ONE})+\)))+"
    rf"|(?:{_ONE}|\({_ONE}(?:\|{_ONE})+\))(?:&(?:{_ONE}|\({_ONE}(?:\|{_ONE})+\)))+"
)

# Deprecated ids that name a licence together with its exception (SPDX licence list, "deprecated license identifiers").
_DEPRECATED = {
    "ecos-2.0": "GPL-2.0-or-later WITH eCos-exception-2.0",
    "gpl-2.0-with-autoconf-exception": "GPL-2.0-only WITH Autoconf-exception-2.0",
    "gpl-2.0-with-bison-exception": "GPL-2.0-or-later WITH Bison-exception-2.2",
    "gpl-2.0-with-classpath-exception": "GPL-2.0-only WITH Classpath-exception-2.0",
    "gpl-2.0-with-font-exception": "GPL-2.0-only WITH Font-exception-2.0",
    "gpl-2.0-with-gcc-exception": "GPL-2.0-only WITH GCC-exception-2.0",
    "gpl-3.0-with-autoconf-exception": "GPL-3.0-only WITH Autoconf-exception-3.0",
    "gpl-3.0-with-gcc-exception": "GPL-3.0-only WITH GCC-exception-3.1",
    "wxwindows": "LGPL-2.0-or-later WITH WxWindows-exception-3.1",
}


@lru_cache(maxsize=8192)
def normalise(text: str) -> str | None:
    """Return a package's licence declaration as an SPDX licence expression.

    Cargo's old `MIT/Apache-2.0` becomes `MIT OR Apache-2.0`; ids and operators get their official spelling; deprecated
    ids become what replaces them; what is on no list becomes a `LicenseRef-`, one for the whole text where it can't be
    taken apart. `None`: nothing is declared. What comes out goes in again unchanged; no text raises.
    """
    words = " ".join(text.split())
    if not words or words.upper() in {"NONE", "NOASSERTION"}:
        return None
    spelled = words if "://" in words else " ".join(words.replace("/", " OR ").split())
    return _common(spelled) or _parsed(spelled) or _reference(words)


def references(expression: str) -> frozenset[str]:
    """Return the `LicenseRef-` names in a normalised expression, which an SPDX document must define."""
    return frozenset(_VALID_REFERENCE.findall(expression))


def without_plus(expression: str) -> str:
    """Return a normalised expression with a `LicenseRef-` for each `ID+`.

    `MPL-2.0+` is valid (SPDX 2.3, D.2), yet spdx-tools refuses a document that has it, and with it NTIA's check.
    """
    return _PLUS.sub(rf"{_OR_LATER}\1", expression)


def explain(reference: str) -> str:
    """Return a sentence that defines a `LicenseRef-` of a normalised expression."""
    if reference.startswith(_OR_LATER):
        licence = reference.removeprefix(_OR_LATER)
        return f"{licence} or, at the recipient's choice, any later version of that licence ({licence}+)."
    name = reference.removeprefix(REFERENCE).removeprefix("LicenseRef-")
    return (
        f"The component's makers declare `{name}`, which is not on the SPDX License List. Its text was not collected."
    )


def _common(text: str) -> str | None:
    tokens = _TOKEN.findall(text)
    if not _COMMON_SHAPE.fullmatch("".join(_LETTER.get(token, "?") for token in tokens)):
        return None
    return " ".join(tokens).replace("( ", "(").replace(" )", ")")


def _parsed(text: str) -> str | None:
    from license_expression import ExpressionError, Licensing, ParseError  # rarely needed, 20 ms

    if len(text) > _LONGEST or not _well_formed(text):
        return _listed()[0].get(text.lower())
    try:
        # Without symbols the parser takes any word for an id; which ids there are is looked up afterwards, as a word
        # on no list is not a mistake in the expression around it.
        tree = Licensing().parse(text, simple=True)
    except (ExpressionError, ParseError):
        return None
    written = _render(tree)
    # A longer one would not be read again.
    return written if len(written) <= _LONGEST else None


def _well_formed(text: str) -> bool:
    """Tell whether operands and operators alternate and parentheses are balanced.

    The parser answers to what is not so with whatever exception it runs into.
    """
    depth, operand_is_next = 0, True
    for word in _TOKEN.findall(text):
        # `(` precedes an operand and `)` follows one; operators and operands alternate.
        if operand_is_next != (word == "(" or (word != ")" and word.upper() not in {"AND", "OR", "WITH"})):
            return False
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth < 0:
            return False
        operand_is_next = operand_is_next != (word not in {"(", ")"})
    return depth == 0 and not operand_is_next


def _render(node: Any) -> str:
    """Write a node of license_expression's tree, which has no types; parentheses only where operators meet."""
    from license_expression import LicenseSymbol, LicenseWithExceptionSymbol

    if isinstance(node, LicenseWithExceptionSymbol):
        return _with_exception(node.license_symbol.key, node.exception_symbol.key)
    if isinstance(node, LicenseSymbol):
        return _identifier(node.key)
    operator = node.operator.strip()
    parts = ((part, _render(part)) for part in node.args)
    return f" {operator} ".join(
        written if getattr(part, "operator", node.operator) == node.operator else f"({written})"
        for part, written in parts
    )


def _with_exception(licence: str, exception: str) -> str:
    known, found = _listed()[1].get(exception.lower()), _identifier(licence)
    # SPDX 2.3 has no reference for an exception of one's own, so the pair gets one name.
    return _reference(f"{licence} WITH {exception}") if known is None or " " in found else f"{found} WITH {known}"


def _identifier(word: str) -> str:
    if _LETTER.get(word) == "L" or _VALID_REFERENCE.fullmatch(word):
        return word
    licences, lower = _listed()[0], word.lower()
    if found := _DEPRECATED.get(lower) or licences.get(lower):
        return found
    versioned = licences.get(lower.removesuffix("+"))
    if versioned is None or lower.endswith("++"):
        return _reference(word)
    or_later = f"{versioned.removesuffix('-only').removesuffix('-or-later')}-or-later"
    return or_later if or_later.lower() in licences else f"{versioned}+"


def _reference(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")
    if name == text and len(name) <= _LONGEST_NAME:
        return f"{REFERENCE}{name}"
    # Different texts that give the same name must not become one licence.
    digest = digest_bytes(text.encode(errors="replace")).sha256[:8]
    return REFERENCE + "-".join(part for part in (name[:_LONGEST_NAME].rstrip("-."), digest) if part)


@cache
def _listed() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the licences and the exceptions of the list: any spelling in lower case to the id."""
    from license_expression import get_spdx_licensing  # reads the whole list, 20 to 40 ms

    licences: dict[str, str] = {}
    exceptions: dict[str, str] = {}
    symbols = [s for s in get_spdx_licensing().known_symbols.values() if not s.key.startswith("LicenseRef-")]
    for symbol in symbols:
        (exceptions if symbol.is_exception else licences)[symbol.key.lower()] = symbol.key
    for symbol in symbols:
        for alias in symbol.aliases:
            # A reference is defined by its author, even if others use the same name.
            if not alias.startswith("LicenseRef-"):
                (exceptions if symbol.is_exception else licences).setdefault(alias.lower(), symbol.key)
    return licences, exceptions
