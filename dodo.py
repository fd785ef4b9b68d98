"""What `doit` does here: build the example workspace, as any repository builds its own (docs/adopting.md)."""

from doit_provenance.tasks.graph import workspace

DOIT_CONFIG, task_artifacts = workspace("examples/greeter")
