"""How a run is shown while it goes on: to a person, in a log of CI, to a machine."""
