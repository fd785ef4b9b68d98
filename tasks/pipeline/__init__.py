"""The way of one artifact, from what a build left to its folder in the output."""
