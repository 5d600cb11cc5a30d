"""A small, real registry: MLflow on SQLite with versions whose gates said what is asked for."""

from pathlib import Path

from components.config import Settings, load_profile
from components.register import Lineage, promote, register
from tests.components.register.conftest import write_evidence, write_model


def make_registry(home: Path, *verdicts: str) -> Settings:
    """Versions 1, 2, … with these verdicts; the first one is in production."""
    home.mkdir(parents=True, exist_ok=True)
    settings = Settings(home=home, mlflow_uri=f"sqlite:///{home / 'mlflow.db'}")
    lineage = Lineage("0123abcd", "corpus-digest", load_profile("tiny"))
    for number, verdict in enumerate(verdicts, start=1):
        model = write_model(home / f"made-{number}", seed=100 + number)
        evidence = write_evidence(home / f"papers-{number}", model, verdict)
        assert register(model, **evidence, lineage=lineage, settings=settings) == number
    promote(1, settings, actor="ann", reason="the first one")
    return settings
