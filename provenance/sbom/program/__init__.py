"""What a program file says of itself: shared libraries (ELF), Go build information, the list of cargo-auditable."""
