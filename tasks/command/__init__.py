"""Artifacts that any program makes: `[command.NAME]` with declared inputs and outputs."""
