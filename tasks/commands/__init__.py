"""The doit commands that this package adds, one module each; `base` is what they share."""
