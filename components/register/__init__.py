"""A model with its verdict becomes an MLflow version; versions go into production and back.

The truth about what is in production is a ledger in MLflow (`ledger.py`); aliases follow it.
MLflow is imported inside functions only.
"""

from components.register.evidence import Lineage
from components.register.ledger import StageChange
from components.register.moving import check_local_files, local_registry, move_local_files
from components.register.outcomes import Outcomes, read_outcomes, run_on
from components.register.promotion import history, promote, rollback
from components.register.pruning import Fate, plan_prune, prune
from components.register.registration import register
from components.register.runs import note_engines, record_end, record_failure, record_refusal
from components.register.signing import public_key, sign_version
from components.register.trust import NotTrustedError, check_envelope
from components.register.versions import (
    Version,
    alias_version,
    champion_of,
    download,
    download_signed,
    gone_versions,
    list_versions,
    show,
    verdict_of,
)
from components.register.words import LONGEST_REASON, check_actor, check_reason, clipped
from components.scoring import Verdict, read_verdict
from components.tracking import check_mlflow
