"""Packages of Nix flakes and expressions: `[nix]`, each from its derivation."""

BUILDER = "nix"
