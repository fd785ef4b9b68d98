"""Files that package managers and what they run leave in an image for themselves: known, and no package's own."""

from __future__ import annotations

import re

_KNOWN = re.compile(
    r"(?:usr/)?lib/apk/.*|etc/apk/(?:arch|repositories|world)|var/cache/apk/.*"
    r"|var/lib/(?:dpkg|apt|ucf|pam|systemd/deb-systemd-helper-enabled)/.*|var/cache/(?:apt|debconf|ldconfig|man)/.*"
    r"|var/log/(?:apt/.*|dpkg\.log|alternatives\.log|bootstrap\.log)|etc/alternatives/.*|var/lib/shells\.state"
    r"|(?:var/lib/rpm|usr/lib/sysimage/rpm|usr/share/rpm|var/lib/dnf|var/cache/dnf|var/lib/yum|var/cache/yum)/.*"
    r"|(?:.*/)?node_modules/\.(?:package-lock\.json|yarn-integrity|yarn-state\.yml|modules\.yaml)"
    r"|var/log/(?:dnf.*|hawkey\.log|yum\.log)"
    r"|(?:etc|usr/lib)/os-release|etc/ld\.so\.cache|etc/(?:passwd|group|shadow|gshadow|subuid|subgid)-?"
    r"|usr/share/mime/.*|usr/share/info/dir|var/lib/systemd/deb-systemd-user-helper-enabled/.*"
    r"|stargz\.index\.json|\.(?:no\.)?prefetch\.landmark"
    r"|etc/(?:hosts|hostname|resolv\.conf|machine-id|\.pwd\.lock)|\.dockerenv"
)


def is_metadata(path: str) -> bool:
    """Tell whether a path is one that a package manager writes for itself.

    Programs are never passed over by this (`survey`); keys and certificates, which say who is trusted, are not here.
    """
    return _KNOWN.fullmatch(path) is not None
