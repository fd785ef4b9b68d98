"""Modules in a Go program, from its build information (go: src/runtime/debug/mod.go, ParseBuildInfo)."""

from __future__ import annotations

from typing import TypeAlias

from ..inventory import Component, Kind, Role
from ..party import Party
from .linked import Linked

_GO = Party(name="The Go Authors", url="https://go.dev")
_DEVELOPMENT = "(devel)"
_SETTINGS = ("vcs.revision", "vcs.modified", "GOOS", "GOARCH", "CGO_ENABLED", "GOFIPS140")


def linked(version: str, text: str) -> Linked:
    """Return the contents of a program: its main module, its dependencies, and Go's standard library.

    Raises:
        ValueError: the text is not build information.
    """
    path, modules, settings = _parse(text)
    components = {component.ref: component for component in map(_module, modules[1:])}
    standard = _standard(version)
    components[standard.ref] = standard
    return Linked(
        main=_main(path, modules[0], settings),
        components=components,
        # The build information has no dependency graph, so all modules are direct dependencies of the program.
        uses=frozenset(components),
        edges={ref: frozenset() for ref in components},
    )


_Module: TypeAlias = tuple[str, str | None, str | None, str | None]


def _parse(text: str) -> tuple[str, list[_Module], dict[str, str]]:
    """Return the main package's path, the modules (the main one first) and the settings.

    A module is path, version, checksum, and path and version of the module that it replaces.
    """
    path, modules, settings = "", list[_Module](), {}
    main: _Module | None = None
    for row in text.splitlines():
        key, _, rest = row.partition("\t")
        fields = rest.split("\t")
        match key:
            case "path":
                path = rest
            case "mod":
                main = _fields(fields)
            case "dep":
                modules.append(_fields(fields))
            case "=>":
                if modules:
                    replaced = modules.pop()
                    module = _fields(fields)
                    modules.append((*module[:3], f"{replaced[0]}@{replaced[1]}"))
            case "build":
                name, _, value = rest.partition("=")
                settings[name] = value
            case "":  # follows a module that is replaced by a folder
                pass
            case _:
                raise ValueError("not a line of Go's build information")
    if not path and main is None:
        raise ValueError("it names no program")
    return path, [main or (path, None, None, None), *modules], settings


def _fields(fields: list[str]) -> _Module:
    if not fields[0]:
        raise ValueError("a module without a path")
    version = fields[1] if len(fields) > 1 and fields[1] != _DEVELOPMENT else None
    return fields[0], version or None, fields[2] or None if len(fields) > 2 else None, None  # noqa: PLR2004 - the third


def _module(module: _Module) -> Component:
    path, version, checksum, replaced = module
    purl = _purl(path, version)
    properties = {"go:sum": checksum, "go:replaces": replaced}
    return Component(
        ref=purl,
        kind=Kind.LIBRARY,
        role=Role.LINKED,
        name=path,
        version=version,
        purl=purl,
        supplier=_supplier(path),
        properties={key: value for key, value in properties.items() if value},
    )


def _main(path: str, module: _Module, settings: dict[str, str]) -> Component:
    name, version, _, _ = module
    properties = {f"go:{key}": settings[key] for key in _SETTINGS if settings.get(key)}
    return Component(
        ref=_purl(name, version),
        kind=Kind.APPLICATION,
        role=Role.CONTAINED,
        name=name,
        version=version,
        purl=_purl(name, version),
        supplier=_supplier(name),
        properties=properties | ({"go:package": path} if path else {}),
    )


def _standard(version: str) -> Component:
    """Return Go's standard library and runtime, with the version of the toolchain without its suffixes."""
    number = version.split(" ", 1)[0].removeprefix("go")
    purl = _purl("stdlib", number)
    return Component(
        ref=purl,
        kind=Kind.LIBRARY,
        role=Role.LINKED,
        name="stdlib",
        version=number,
        purl=purl,
        licence="BSD-3-Clause",
        supplier=_GO,
        authors=(_GO,),
        homepage=_GO.url,
        properties={"go:version": version},
    )


def _supplier(path: str) -> Party | None:
    """Return host and owner from a module's path (Go Modules Reference, module paths)."""
    host, _, rest = path.partition("/")
    return Party(name=f"{host}/{rest.partition('/')[0]}") if "." in host.strip(".") and rest else None


def _purl(path: str, version: str | None) -> str:
    from packageurl import PackageURL

    namespace, _, name = path.rpartition("/")
    return PackageURL("golang", namespace or None, name, version).to_string()
