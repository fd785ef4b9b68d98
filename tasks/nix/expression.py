"""The Nix expression that queries packages: one for everything, so that a flake is evaluated once.

It is passed to `nix eval --apply`, and returns

    { store; packages.SYSTEM.NAME = { derivation, output }; names.SYSTEM = [ … ]; meta = [ { paths, name, … } ]; }

`store` is the folder of all store paths. `derivation` is `null` for what is not one. `names` has every package of the
flake, for messages; it costs nothing, as Nix is lazy. `meta` has the metadata of the packages and of the libraries that
are their inputs, since the store does not keep licences.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COMMON = r"""
  plain = builtins.unsafeDiscardStringContext;
  tried = fallback: value:
    let found = builtins.tryEval (builtins.deepSeq value value); in if found.success then found.value else fallback;
  text = value: tried "" (if builtins.isString value then plain value else "");
  listed = value: if builtins.isList value then value else if value == null then [ ] else [ value ];
  isDerivation = value: builtins.isAttrs value && (value.type or "") == "derivation";
  package = value:
    if !isDerivation value then { derivation = null; output = ""; }
    else {
      derivation = plain value.drvPath;
      output = plain (value.outputName or "out");
    };
  licence = value:
    if builtins.isAttrs value then text (value.spdxId or value.fullName or value.shortName or "") else text value;
  said = value:
    let
      parsed = builtins.parseDrvName value.name;
      meta = if builtins.isAttrs (value.meta or null) then value.meta else { };
      licences = tried [ ] (listed (meta.license or [ ]));
    in {
      paths = tried [ ] (map (output: plain value.${output}.outPath) (value.outputs or [ "out" ]));
      name = text (value.pname or parsed.name);
      version = text (value.version or parsed.version);
      licences = builtins.filter (one: one != "") (map licence licences);
      homepage = text (meta.homepage or "");
      description = text (meta.description or "");
    };
  node = value: { key = plain value.drvPath; inherit value; };
  given = value: builtins.filter isDerivation (
    builtins.concatMap listed (listed (value.buildInputs or [ ]) ++ listed (value.propagatedBuildInputs or [ ]))
  );
  around = values: map (found: said found.value) (builtins.genericClosure {
    startSet = map node (builtins.filter isDerivation values);
    operator = found: map node (given found.value);
  });
"""

_FLAKE = """
all: let
  systems = {systems};
  wanted = {wanted};
  unwanted = {unwanted};
{common}
  isOne = globs: name: builtins.any (glob: builtins.match glob name != null) globs;
  isWanted = name: isOne wanted name && !(isOne unwanted name);
  of = system: all.${{system}} or {{ }};
  chosen = system: builtins.intersectAttrs (builtins.listToAttrs (map (name: {{ inherit name; value = null; }})
    (builtins.filter isWanted (builtins.attrNames (of system))))) (of system);
  each = f: builtins.listToAttrs (map (name: {{ inherit name; value = f name; }}) systems);
in {{
  store = builtins.storeDir;
  packages = each (system: builtins.mapAttrs (name: package) (chosen system));
  names = each (system: builtins.attrNames (of system));
  meta = around (builtins.concatMap (system: builtins.attrValues (chosen system)) systems);
}}
"""

_FILE = """
root: let
  systems = {systems};
  attributes = {attributes};
{common}
  called = system:
    if !(builtins.isFunction root) then root
    else root (if (builtins.functionArgs root) ? system then {{ inherit system; }} else {{ }});
  one = system: path: builtins.foldl' (set: name: set.${{name}}) (called system) path;
  each = f: builtins.listToAttrs (map (name: {{ inherit name; value = f name; }}) systems);
  chosen = system: map (attribute: {{ inherit (attribute) name; value = one system attribute.path; }}) attributes;
in {{
  store = builtins.storeDir;
  packages = each (system: builtins.mapAttrs (name: package) (builtins.listToAttrs (chosen system)));
  names = each (system: [ ]);
  meta = around (builtins.concatMap (system: map (found: found.value) (chosen system)) systems);
}}
"""


def of_flake(systems: Iterable[str], wanted: Iterable[str], unwanted: Iterable[str]) -> str:
    """Return a function of a flake's `packages`; `wanted` and `unwanted` are globs over names."""
    return _FLAKE.format(
        systems=_listed(systems),
        wanted=_listed(map(as_regex, wanted)),
        unwanted=_listed(map(as_regex, unwanted)),
        common=_COMMON,
    )


def of_file(systems: Iterable[str], attributes: Sequence[str]) -> str:
    """Return a function of the value of a file; if that is a function, it is called, with `system` if it accepts it."""
    paths = (f"{{ name = {_text(attribute)}; path = {_listed(attribute.split('.'))}; }}" for attribute in attributes)
    return _FILE.format(systems=_listed(systems), attributes=f"[ {' '.join(paths)} ]", common=_COMMON)


def as_regex(glob: str) -> str:
    """Return a glob as an extended regular expression (POSIX), as Nix matches them.

    >>> as_regex("wash-oci-*"), as_regex("a.b[!c]?")
    ('wash-oci-.*', 'a[.]b[^c].')
    """
    regex = ""
    rest = glob
    while rest:
        if (inside := re.match(r"\[(!?)(\]?[^\]]*)\]", rest)) and inside[2]:
            regex += f"[{'^' if inside[1] else ''}{inside[2]}]"
            rest = rest[inside.end() :]
            continue
        char, rest = rest[0], rest[1:]
        regex += {"*": ".*", "?": "."}.get(char) or (char if char.isalnum() or char in "_-'!" else f"[{char}]")
    return regex


def _listed(texts: Iterable[str]) -> str:
    return f"[ {' '.join(map(_text, texts))} ]"


def _text(text: str) -> str:
    escaped = re.sub(r'(["\\]|\$(?=\{))', r"\\\1", text)
    return f'"{escaped}"'
