"""What KFP's backend remembers of runs: ML Metadata's executions and artifacts, and its cache.

Places named below lie under backend/src/v2 of KFP 2.17.0.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["RUNNING", "COMPLETE", "CACHED", "FAILED", "CANCELED"]
Artifact = dict[str, Any]
"""A RuntimeArtifact as JSON; its `name` is its number in ML Metadata (metadata/converter.go,
toRuntimeArtifact)."""


@dataclass
class Execution:
    """A task of a run: a container's, or a DAG of tasks.

    Attributes:
        task: its name in the pipeline.
        parent: the DAG that it is in; None: it is the root.
        tasks: how many a DAG has; None: it is a container.
        parameters: that it left.
        artifacts: likewise, a list for each output.
    """

    number: int
    task: str
    parent: "Execution | None"
    tasks: int | None = None
    state: State = "RUNNING"
    parameters: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, list[Artifact]] = field(default_factory=dict)


class Metadata:
    """ML Metadata of one cluster, and the cache of the steps.

    Attributes:
        executions: all there are, in the order in which they began.
        cache: by fingerprint (driver/cache.go).
    """

    def __init__(self) -> None:
        self.executions: list[Execution] = []
        self.cache: dict[tuple[str, str], Execution] = {}
        self._artifacts = itertools.count(1)

    def create(
        self,
        task: str,
        parent: Execution | None,
        tasks: int | None = None,
        *,
        triggered: bool = True,
    ) -> Execution:
        """metadata/client.go, CreateExecution: what its condition does not let run is CANCELED."""
        state: State = "RUNNING" if triggered else "CANCELED"
        execution = Execution(len(self.executions) + 1, task, parent, tasks, state)
        self.executions.append(execution)
        return execution

    def record(self, artifact: Artifact) -> Artifact:
        """Note an artifact that was uploaded; from now on its name is its number."""
        return artifact | {"name": str(next(self._artifacts))}

    def children(self, dag: Execution) -> list[Execution]:
        """The tasks that a DAG has begun."""
        return [execution for execution in self.executions if execution.parent is dag]

    def update(self, dag: Execution | None) -> None:
        """metadata/client.go, UpdateDAGExecutionsState: at the end of a container in a DAG.

        Only a launcher does this, so a DAG whose last task is skipped or taken from the cache stays
        RUNNING.
        """
        # The root's own number of tasks is not recorded.
        if dag is None or dag.parent is None:
            return
        states = [child.state for child in self.children(dag)]
        if sum(state in ("COMPLETE", "CACHED", "CANCELED") for state in states) == dag.tasks:
            dag.state = "COMPLETE"
        elif "FAILED" in states:
            dag.state = "FAILED"
        else:
            return
        self.update(dag.parent)
