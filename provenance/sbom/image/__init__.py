"""What is in a container image: its files as a container sees them, and the packages that explain them."""
