"""What the fork server of a local run imports: what the steps import.

It takes ten seconds of a core; `pipelines.runners.forked` has it done once in a run. What is not
named here is imported by each step that needs it.
"""

import gc
import importlib

MODULES = (
    "kfp.dsl.executor_main",
    "kfp.local",
    "components.base.step",
    "components.corpus",
    "torch",
    "components.segmentation",
    "pyannote.audio.pipelines",
    "whisperx.vads",
    "nltk.tokenize.punkt",
    "components.transcribe",
    "components.diarize",
    "components.label",
    "components.train.worker",
    "mlflow.store.tracking.sqlalchemy_store",
    "components.evaluate",
    "scipy.stats",
    "matplotlib.figure",
    "components.register",
)
"""In the order in which steps need what is slow in them."""

for module in MODULES:
    importlib.import_module(module)
# A child's garbage collections leave these pages alone, which it shares until it writes to them.
gc.freeze()
