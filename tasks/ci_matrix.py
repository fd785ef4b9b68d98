"""The plan as a CI job matrix: waves of groups in topological order."""

from __future__ import annotations

import fnmatch
import json
from collections import defaultdict
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, NamedTuple

from .freshness.answer import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ..provenance.json import JSONValue
    from .plan import Step

LARGEST = 256
"""Maximum number of jobs in a GitHub Actions matrix: https://docs.github.com/actions/reference/limits."""
_LINUX, _LINUX_ARM = "ubuntu-24.04", "ubuntu-24.04-arm"
_MAC_INTEL, _MAC = "macos-15-intel", "macos-15"
_WINDOWS, _WINDOWS_ARM = "windows-2025", "windows-11-arm"
_ARM = ("aarch64", "arm64")


class _Job(NamedTuple):
    """One matrix entry: a group on one platform, or a part of it."""

    root: Path
    group: str
    platform: str
    part: int = 0


def to_github(steps: Sequence[Step]) -> str:
    """Return the waves of all artifacts that are not fresh, as one line of JSON."""
    stale = [step for step in steps if step.action is not Action.FRESH]
    waves: list[JSONValue] = [{"include": include} for include in _waves(stale)]
    return json.dumps({"waves": waves}, separators=(",", ":")) + "\n"


def runner_for(platform: str, runners: Mapping[str, str]) -> str:
    """Return the runner label for a platform.

    Args:
        platform: as in artifact ids: `x86_64-unknown-linux-musl`, `linux/arm64`, `x86_64-linux`, `any`.
        runners: configured patterns and labels; the first match wins.
    """
    for pattern, label in runners.items():
        if fnmatch.fnmatchcase(platform, pattern):
            return label
    arm = any(word in platform for word in _ARM)
    if "darwin" in platform or "apple" in platform:
        return _MAC_INTEL if "x86_64" in platform or "amd64" in platform else _MAC
    if "windows" in platform:
        return _WINDOWS_ARM if arm else _WINDOWS
    return _LINUX_ARM if arm and "linux" in platform else _LINUX


def _waves(steps: Sequence[Step]) -> Iterable[list[JSONValue]]:
    jobs = _jobs(steps)
    members: dict[_Job, list[Step]] = defaultdict(list)
    for step, job in zip(steps, jobs, strict=True):
        members[job].append(step)
    names = _names(members)
    sorter = TopologicalSorter(_edges(steps, jobs))
    sorter.prepare()
    order = {job: number for number, job in enumerate(members)}
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=order.__getitem__)
        sorter.done(*ready)
        entries = [_entry(names[job], members[job]) for job in ready]
        for start in range(0, len(entries), LARGEST):
            yield entries[start : start + LARGEST]


def _jobs(steps: Sequence[Step]) -> list[_Job]:
    """Return the job of each step: its group, split only where groups depend on each other cyclically."""
    jobs = [_Job(s.workspace.root, s.artifact.group, s.artifact.platform) for s in steps]
    entangled = _entangled(_edges(steps, jobs))
    if not entangled:
        return jobs
    # Parts are built in ascending order; only a dependency on another group's artifact increases the part.
    index = {(s.workspace.root, s.artifact.id): number for number, s in enumerate(steps)}
    for number, step in enumerate(steps):  # upstream comes first
        job = jobs[number]
        if job in entangled:
            upstream = (jobs[index[key]] for u in step.artifact.upstream if (key := (job.root, u)) in index)
            part = max((u.part + (u[:3] != job[:3]) for u in upstream if u._replace(part=0) in entangled), default=0)
            jobs[number] = job._replace(part=part)
    return jobs


def _edges(steps: Sequence[Step], jobs: Sequence[_Job]) -> dict[_Job, set[_Job]]:
    """Return each job's upstream jobs, excluding itself."""
    job_of = {(s.workspace.root, s.artifact.id): job for s, job in zip(steps, jobs, strict=True)}
    edges: dict[_Job, set[_Job]] = {job: set() for job in jobs}
    for step, job in zip(steps, jobs, strict=True):
        edges[job] |= {job_of[key] for u in step.artifact.upstream if (key := (job.root, u)) in job_of} - {job}
    return edges


def _entangled(edges: Mapping[_Job, set[_Job]]) -> set[_Job]:
    """Return the jobs on dependency cycles, and those between cycles."""
    backwards: dict[_Job, set[_Job]] = {job: set() for job in edges}
    for job, upstream in edges.items():
        for u in upstream:
            backwards[u].add(job)
    return _cyclic(edges) & _cyclic(backwards)


def _cyclic(edges: Mapping[_Job, set[_Job]]) -> set[_Job]:
    """Return the jobs on cycles and downstream of cycles (Kahn's algorithm)."""
    waiting = {job: len(upstream) for job, upstream in edges.items()}
    after: dict[_Job, list[_Job]] = defaultdict(list)
    for job, upstream in edges.items():
        for u in upstream:
            after[u].append(job)
    free = [job for job, count in waiting.items() if not count]
    while free:
        job = free.pop()
        del waiting[job]
        for follower in after[job]:
            waiting[follower] -= 1
            if not waiting[follower]:
                free.append(follower)
    return set(waiting)


def _names(members: Mapping[_Job, Sequence[Step]]) -> dict[_Job, str]:
    """Return a unique name for each job: its group, numbered if the group has several jobs."""
    by_group: dict[str, list[_Job]] = defaultdict(list)
    for job in members:
        by_group[job.group].append(job)
    return {
        job: job.group if len(jobs) == 1 else f"{job.group} ({number} of {len(jobs)})"
        for jobs in by_group.values()
        for number, job in enumerate(jobs, start=1)
    }


def _entry(name: str, steps: Sequence[Step]) -> JSONValue:
    artifact, workspace = steps[0].artifact, steps[0].workspace
    return {
        "name": name,
        "artifacts": [step.artifact.id for step in steps],
        "builder": artifact.builder,
        "platform": artifact.platform,
        "runner": runner_for(artifact.platform, workspace.config.plan.runners),
    }
