"""What is to be done: whether an artifact is fresh, by the digests of its inputs and of everything that it left."""
