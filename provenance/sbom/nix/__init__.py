"""Nix: store paths, their closures, and the language packages inside, as components."""
