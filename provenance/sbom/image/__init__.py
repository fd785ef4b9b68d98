"""The contents of a container image: its files, and the packages and artifacts that they belong to."""
