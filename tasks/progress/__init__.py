"""Progress output and log files of a run."""
