"""All that is known of cargo: discovery, the build, and what it put into each binary."""
