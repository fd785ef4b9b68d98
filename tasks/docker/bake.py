"""What bake files say is built: buildx's own plan of them, in the words of `[docker.NAME]`."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance.errors import ToolError, quoted
from ...provenance.json import JSONValue, read_json
from ...provenance.process import capture, clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ...provenance.config.schema import Value

FILES = ("docker-bake.json", "docker-bake.hcl", "docker-bake.override.json", "docker-bake.override.hcl")
"""Those that `docker buildx bake` reads by itself, in its order; compose files, which it reads too, say what is run."""

_SECONDS = 30.0
_MOST = 200
"""Targets that are looked at."""
_LIMIT = 8 << 20
_DEFAULT = "default"
_TAKEN = frozenset({"context", "dockerfile", "args", "target", "platforms", "secret", "contexts", "annotations"})
_WITHOUT_EFFECT = frozenset(
    {"tags", "output", "cache-from", "cache-to", "attest", "pull", "no-cache", "no-cache-filter", "call", "description"}
)
"""What does not change the image, or is said in another place here."""
_NEEDED = frozenset({"PATH", "HOME", "DOCKER_CONFIG", "BUILDX_CONFIG", "XDG_RUNTIME_DIR", "TMPDIR", "SSH_AUTH_SOCK"})
_OWN = "local"
"""The platform of whoever builds, which is what no platform means."""
_IMAGES = frozenset({"image", "registry", "docker", "oci"})
"""The outputs that are images (buildx, `--output`)."""
_LEVELS = frozenset({"manifest", "index"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target of the plan.

    Attributes:
        settings: of `[docker.NAME]`, by their names.
        dockerfile: its path from the root.
        left_out: what of it no setting can say, as `ssh`, in its own words.
        is_image: it makes an image, and not only files, a cache or a check.
        unfit: why it can be no `[docker.NAME]` at all; empty: it can.
        is_default: `docker buildx bake` builds it when nothing is named.
    """

    name: str
    settings: Mapping[str, Value]
    dockerfile: str
    left_out: tuple[str, ...]
    is_image: bool
    unfit: str
    is_default: bool


def bake_files(root: Path) -> tuple[str, ...]:
    """Return the bake files of a workspace, as paths from its root."""
    return tuple(name for name in FILES if (root / name).is_file())


def read_bake(root: Path, files: Sequence[str]) -> tuple[Target, ...]:
    """Return all targets that bake files plan, by their names.

    Nothing is built. Variables of a bake file have their defaults, whatever the environment says.

    Raises:
        ToolError: buildx is missing or takes the files for wrong, or its plan can't be understood.
    """
    default = _targets(_plan(root, files, ()))
    names = [name for name in _listed(root, files) if name not in default]
    # A plan has the targets that others use as contexts too, without their own outputs.
    found = (_targets(_plan(root, files, names)) if names else {}) | default
    return tuple(_target(name, found[name], is_default=name in default) for name in sorted(found)[:_MOST])


def _plan(root: Path, files: Sequence[str], names: Sequence[str]) -> Mapping[str, JSONValue]:
    """Return the plan for some targets; for none that are named those of the default group, where there is one."""
    try:
        said = _bake(root, files, "--print", *names)
    except ToolError as error:
        if not names and f"failed to find target {_DEFAULT}" in str(error):
            return {}
        raise
    if not isinstance(said, dict):
        raise ToolError("`docker buildx bake --print` did not answer with a plan")
    return said


def _listed(root: Path, files: Sequence[str]) -> list[str]:
    """Return the names of all targets, groups left out."""
    said = _bake(root, files, "--list=type=targets,format=json")
    found = []
    for one in said if isinstance(said, list) else []:
        match one:
            case {"group": True}:
                pass
            case {"name": str(name)}:
                found.append(name)
    return found


def _bake(root: Path, files: Sequence[str], *arguments: str) -> JSONValue:
    chosen = [word for name in files for word in ("--file", name)]
    argv = ["docker", "buildx", "bake", *chosen, *arguments]
    output = capture(argv, cwd=root, env=_environment(), timeout=_SECONDS)
    if len(output) > _LIMIT:
        raise ToolError(f"`{' '.join(argv[:3])}` plans more than {_LIMIT:,} bytes can say")
    try:
        return read_json(output)
    except ValueError as error:
        raise ToolError(f"`{' '.join(argv[:3])}` answered what is no JSON: {error}") from error


def _environment() -> dict[str, str]:
    """Return what buildx itself needs of the environment.

    A plan is resolved: with the rest of the environment the value of a variable, which may be a secret, would stand in
    it as a build argument, and then in provenance.toml.
    """
    return {name: value for name, value in clean_environment().items() if name in _NEEDED}


def _targets(plan: Mapping[str, JSONValue]) -> dict[str, dict[str, JSONValue]]:
    found = plan.get("target")
    return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}


def _target(name: str, said: Mapping[str, JSONValue], *, is_default: bool) -> Target:
    written = _text(said, "context") or "."
    context = posixpath.normpath(written)
    dockerfile = posixpath.normpath(posixpath.join(context, _text(said, "dockerfile") or "Dockerfile"))
    settings: dict[str, Value] = {"context": context}
    if dockerfile != posixpath.normpath(posixpath.join(context, "Dockerfile")):
        settings["dockerfile"] = dockerfile
    contexts, foreign = _contexts(said)
    annotations, unknown = _annotations(said)
    settings |= {
        "platforms": tuple(one for one in _texts(said, "platforms") if one != _OWN),
        "args": _table(said, "args"),
        "target": _text(said, "target"),
        "secrets": _secrets(said),
        "contexts": contexts,
        "annotations": annotations,
    }
    left_out = [key for key in sorted(said) if said[key] and key not in _TAKEN | _WITHOUT_EFFECT]
    return Target(
        name=name,
        settings={key: value for key, value in settings.items() if value},
        dockerfile=dockerfile,
        left_out=(*left_out, *foreign, *unknown),
        is_image=_is_image(said),
        unfit=_unfit(said, written),
        is_default=is_default,
    )


def _unfit(said: Mapping[str, JSONValue], context: str) -> str:
    if said.get("dockerfile-inline"):
        return "its Dockerfile stands in the bake file"
    if ":" in context:
        return f"its context, {quoted(context)}, is elsewhere"
    if context.startswith("/") or posixpath.normpath(context).split("/")[0] == "..":
        return f"its context, {quoted(context)}, is outside the workspace"
    return ""


def _is_image(said: Mapping[str, JSONValue]) -> bool:
    if _text(said, "call") not in {"", "build"}:
        return False
    listed = said.get("output")
    outputs = listed if isinstance(listed, list) else []
    types = [_output(one) for one in outputs]
    return not types or not _IMAGES.isdisjoint(types)


def _output(said: JSONValue) -> str:
    """Return the type of an output; buildx plans it as a text or as a table, and a path alone is a folder's."""
    match said:
        case {"type": str(kind)}:
            return kind
        case str(text):
            fields = dict(part.partition("=")[::2] for part in text.split(","))
            return fields.get("type", "local")
    return ""


def _contexts(said: Mapping[str, JSONValue]) -> tuple[dict[str, str], list[str]]:
    """Return the contexts that can be named here, and those that can't: other targets, archives and repositories."""
    found: dict[str, str] = {}
    others = []
    for name, source in _table(said, "contexts").items():
        if source.startswith("docker-image://") or ":" not in source:
            found[name] = source if "://" in source else posixpath.normpath(source)
        else:
            others.append(f"the context {quoted(f'{name}={source}')}")
    return found, others


def _annotations(said: Mapping[str, JSONValue]) -> tuple[dict[str, str], list[str]]:
    """Return the annotations (`LEVEL,LEVEL:KEY=VALUE`) that are for manifests and indexes, and the rest."""
    found: dict[str, str] = {}
    others = []
    for text in _texts(said, "annotations"):
        key, _, value = text.partition("=")
        levels, colon, name = key.rpartition(":")
        if not colon or set(levels.split(",")) <= _LEVELS:
            found[name] = value
        else:
            others.append(f"the annotation {quoted(text)}")
    return found, others


def _secrets(said: Mapping[str, JSONValue]) -> tuple[str, ...]:
    """Return the secrets as `docker buildx build --secret` takes them; buildx plans them as texts or as tables."""
    found = []
    listed = said.get("secret")
    for one in listed if isinstance(listed, list) else []:
        match one:
            case str(text):
                found.append(text)
            case {"id": str(name), **rest}:
                sources = [f"{key}={value}" for key in ("env", "src") if (value := rest.get(key))]
                found.append(",".join([f"id={name}", *sources]))
    return tuple(found)


def _text(said: Mapping[str, JSONValue], key: str) -> str:
    value = said.get(key)
    return value if isinstance(value, str) else ""


def _texts(said: Mapping[str, JSONValue], key: str) -> tuple[str, ...]:
    value = said.get(key)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _table(said: Mapping[str, JSONValue], key: str) -> dict[str, str]:
    value = said.get(key)
    return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}
