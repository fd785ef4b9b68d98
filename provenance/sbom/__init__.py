"""What is in an artifact: the inventory, its readers, and the SBOM formats written from it."""
