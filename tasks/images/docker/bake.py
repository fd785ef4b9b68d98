"""The targets of bake files as settings of `[docker.NAME]`, read from buildx's own plan."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....provenance.errors import ToolError, quoted
from ....provenance.json import JSONValue, read_json
from ....provenance.process import capture, clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ....provenance.config.schema import Value

FILES = ("docker-bake.json", "docker-bake.hcl", "docker-bake.override.json", "docker-bake.override.hcl")
"""Read by `docker buildx bake` by default, in its order; compose files, which it reads too, describe what is run."""

_SECONDS = 30.0
_MOST = 200
"""Targets that are read at most."""
_LIMIT = 8 << 20
_DEFAULT = "default"
_TAKEN = frozenset({"context", "dockerfile", "args", "target", "platforms", "secret", "contexts", "annotations"})
_WITHOUT_EFFECT = frozenset(
    {"tags", "output", "cache-from", "cache-to", "attest", "pull", "no-cache", "no-cache-filter", "call", "description"}
)
"""Settings that do not change the image, or are configured elsewhere here."""
_NEEDED = frozenset({"PATH", "HOME", "DOCKER_CONFIG", "BUILDX_CONFIG", "XDG_RUNTIME_DIR", "TMPDIR", "SSH_AUTH_SOCK"})
_OWN = "local"
"""The platform of the machine, which is our default."""
_IMAGES = frozenset({"image", "registry", "docker", "oci"})
"""The outputs that are images (buildx, `--output`)."""
_LEVELS = frozenset({"manifest", "index"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target of the plan.

    Attributes:
        settings: of `[docker.NAME]`, by their names.
        dockerfile: its path from the root.
        left_out: keys without an equivalent setting, as `ssh`.
        is_image: it makes an image, not only files, a cache or a check.
        unfit: why it can't be a `[docker.NAME]`; empty if it can.
        is_default: `docker buildx bake` builds it by default.
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

    Nothing is built. Variables of a bake file have their defaults, whatever the environment has.

    Raises:
        ToolError: buildx is missing or rejects the files, or its plan is malformed.
    """
    default = _targets(_plan(root, files, ()))
    names = [name for name in _listed(root, files) if name not in default]
    # A plan also has the targets that others use as contexts, without their own outputs.
    targets = (_targets(_plan(root, files, names)) if names else {}) | default
    return tuple(_target(name, targets[name], is_default=name in default) for name in sorted(targets)[:_MOST])


def _plan(root: Path, files: Sequence[str], names: Sequence[str]) -> Mapping[str, JSONValue]:
    """Return the plan for these targets; without names, for the default group if there is one."""
    try:
        plan = _bake(root, files, "--print", *names)
    except ToolError as error:
        if not names and f"failed to find target {_DEFAULT}" in str(error):
            return {}
        raise
    if not isinstance(plan, dict):
        raise ToolError("`docker buildx bake --print` did not answer with a plan")
    return plan


def _listed(root: Path, files: Sequence[str]) -> list[str]:
    """Return the names of all targets, without groups."""
    listed = _bake(root, files, "--list=type=targets,format=json")
    names = []
    for entry in listed if isinstance(listed, list) else []:
        match entry:
            case {"group": True}:
                pass
            case {"name": str(name)}:
                names.append(name)
    return names


def _bake(root: Path, files: Sequence[str], *arguments: str) -> JSONValue:
    chosen = [word for name in files for word in ("--file", name)]
    argv = ["docker", "buildx", "bake", *chosen, *arguments]
    output = capture(argv, cwd=root, env=_environment(), timeout=_SECONDS)
    if len(output) > _LIMIT:
        raise ToolError(f"`{' '.join(argv[:3])}` answered with more than {_LIMIT:,} bytes")
    try:
        return read_json(output)
    except ValueError as error:
        raise ToolError(f"`{' '.join(argv[:3])}` answered with malformed JSON: {error}") from error


def _environment() -> dict[str, str]:
    """Return the variables that buildx itself needs.

    A plan has variables resolved: with the rest of the environment, a secret in a variable would get into a build
    argument of the plan, and from there into provenance.toml.
    """
    return {name: value for name, value in clean_environment().items() if name in _NEEDED}


def _targets(plan: Mapping[str, JSONValue]) -> dict[str, dict[str, JSONValue]]:
    targets = plan.get("target")
    return {k: v for k, v in targets.items() if isinstance(v, dict)} if isinstance(targets, dict) else {}


def _target(name: str, plan: Mapping[str, JSONValue], *, is_default: bool) -> Target:
    written = _text(plan, "context") or "."
    context = posixpath.normpath(written)
    dockerfile = posixpath.normpath(posixpath.join(context, _text(plan, "dockerfile") or "Dockerfile"))
    settings: dict[str, Value] = {"context": context}
    if dockerfile != posixpath.normpath(posixpath.join(context, "Dockerfile")):
        settings["dockerfile"] = dockerfile
    contexts, foreign = _contexts(plan)
    annotations, unknown = _annotations(plan)
    settings |= {
        "platforms": tuple(platform for platform in _texts(plan, "platforms") if platform != _OWN),
        "args": _table(plan, "args"),
        "target": _text(plan, "target"),
        "secrets": _secrets(plan),
        "contexts": contexts,
        "annotations": annotations,
    }
    left_out = [key for key in sorted(plan) if plan[key] and key not in _TAKEN | _WITHOUT_EFFECT]
    return Target(
        name=name,
        settings={key: value for key, value in settings.items() if value},
        dockerfile=dockerfile,
        left_out=(*left_out, *foreign, *unknown),
        is_image=_is_image(plan),
        unfit=_unfit(plan, written),
        is_default=is_default,
    )


def _unfit(plan: Mapping[str, JSONValue], context: str) -> str:
    if plan.get("dockerfile-inline"):
        return "its Dockerfile stands in the bake file"
    if ":" in context:
        return f"its context, {quoted(context)}, is elsewhere"
    if context.startswith("/") or posixpath.normpath(context).split("/")[0] == "..":
        return f"its context, {quoted(context)}, is outside the workspace"
    return ""


def _is_image(plan: Mapping[str, JSONValue]) -> bool:
    if _text(plan, "call") not in {"", "build"}:
        return False
    listed = plan.get("output")
    outputs = listed if isinstance(listed, list) else []
    types = [_output(output) for output in outputs]
    return not types or not _IMAGES.isdisjoint(types)


def _output(output: JSONValue) -> str:
    """Return the type of an output, which buildx plans as a string or a table; a bare path is `local`."""
    match output:
        case {"type": str(kind)}:
            return kind
        case str(text):
            fields = dict(part.partition("=")[::2] for part in text.split(","))
            return fields.get("type", "local")
    return ""


def _contexts(plan: Mapping[str, JSONValue]) -> tuple[dict[str, str], list[str]]:
    """Return the contexts that a setting can name, and the rest: other targets, archives and repositories."""
    contexts: dict[str, str] = {}
    others = []
    for name, source in _table(plan, "contexts").items():
        if source.startswith("docker-image://") or ":" not in source:
            contexts[name] = source if "://" in source else posixpath.normpath(source)
        else:
            others.append(f"the context {quoted(f'{name}={source}')}")
    return contexts, others


def _annotations(plan: Mapping[str, JSONValue]) -> tuple[dict[str, str], list[str]]:
    """Return the annotations (`LEVEL,LEVEL:KEY=VALUE`) that are for manifests and indexes, and the rest."""
    annotations: dict[str, str] = {}
    others = []
    for text in _texts(plan, "annotations"):
        key, _, value = text.partition("=")
        levels, colon, name = key.rpartition(":")
        if not colon or set(levels.split(",")) <= _LEVELS:
            annotations[name] = value
        else:
            others.append(f"the annotation {quoted(text)}")
    return annotations, others


def _secrets(plan: Mapping[str, JSONValue]) -> tuple[str, ...]:
    """Return the secrets as `docker buildx build --secret` takes them; buildx plans them as strings or tables."""
    secrets = []
    listed = plan.get("secret")
    for entry in listed if isinstance(listed, list) else []:
        match entry:
            case str(text):
                secrets.append(text)
            case {"id": str(name), **rest}:
                sources = [f"{key}={value}" for key in ("env", "src") if (value := rest.get(key))]
                secrets.append(",".join([f"id={name}", *sources]))
    return tuple(secrets)


def _text(plan: Mapping[str, JSONValue], key: str) -> str:
    value = plan.get(key)
    return value if isinstance(value, str) else ""


def _texts(plan: Mapping[str, JSONValue], key: str) -> tuple[str, ...]:
    value = plan.get(key)
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def _table(plan: Mapping[str, JSONValue], key: str) -> dict[str, str]:
    value = plan.get(key)
    return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}
