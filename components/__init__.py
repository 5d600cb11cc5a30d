"""What is done to a conversation.

Every room may use `base`, `conversation`, `config`, `fusion`, `scoring`, `traffic` and `reporting`.
The other rooms are named by verbs. They are the steps of a pipeline, and `drift`; none imports
another.

No library reports home. Several do by default: pyannote.audio sends how long each recording is and
how many speak in it. Each asks the environment, which is set here before any of them is imported;
whoever sets it otherwise has decided so. Import Moodline before them.
"""

import os
import sys

_NO_REPORTS = {
    "DO_NOT_TRACK": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYANNOTE_METRICS_ENABLED": "0",
}
for _name, _value in _NO_REPORTS.items():
    os.environ.setdefault(_name, _value)
if "pyannote.audio" in sys.modules:  # whose import has set its own default, to report
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
