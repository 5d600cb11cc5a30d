"""A model with its verdict becomes an MLflow version; versions go into production and back.

The truth about what is in production is a ledger in MLflow (`ledger.py`); aliases follow it.
MLflow is imported inside functions only.
"""

from components.register.errors import Refused, RegistryError
from components.register.evidence import Lineage, Verdict, read_verdict
from components.register.ledger import Entry
from components.register.promotion import history, promote, rollback
from components.register.registration import register
from components.register.runs import record_failure, record_refusal
from components.register.versions import (
    Version,
    download,
    list_versions,
    production_version,
    show,
)

__all__ = [
    "Entry",
    "Lineage",
    "Refused",
    "RegistryError",
    "Verdict",
    "Version",
    "download",
    "history",
    "list_versions",
    "production_version",
    "promote",
    "read_verdict",
    "record_failure",
    "record_refusal",
    "register",
    "rollback",
    "show",
]
