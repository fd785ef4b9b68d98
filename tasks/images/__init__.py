"""What the builders of container images share: docker, oci and whatever else makes them."""
