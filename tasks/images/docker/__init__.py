"""Images from Dockerfiles, built by BuildKit through `docker buildx`."""

BUILDER = "docker"
