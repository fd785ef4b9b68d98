"""Metadata in program files: shared libraries (ELF), Go build information, the crates of cargo-auditable."""
