"""Archives that are not trusted, read as streams: decompression and tar."""
