"""in-toto statements, SLSA predicates, DSSE envelopes and Sigstore bundles: pure functions over bytes."""
