"""Builds: what is built, how, and when it is stale. The only package that imports doit."""
