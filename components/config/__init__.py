"""The typed, frozen configuration: what is run (a profile) and where (the settings).

A profile says which models, with which numbers; its digest names the work done under it. The
settings say where things lie on this machine. Both are loaded at the edge and passed down.
"""

from components.config.cluster import CPU_IMAGE, GPU_IMAGE, SLIM_IMAGE, ClusterSettings
from components.config.diarize import CHANNELS, DiarizeSettings, check_speaker_counts
from components.config.gate import GateSettings
from components.config.labels import LabelStep
from components.config.model_store import fetch_models
from components.config.models import (
    hub_commit,
    is_prepared,
    is_unpinned,
    model_digest,
    model_revisions,
    parts_of,
    resolve_model,
)
from components.config.parts import (
    AlignSettings,
    LoraSettings,
    Pause,
    ProtocolSettings,
    ServingSettings,
    TrainSettings,
    TranscribeSettings,
)
from components.config.pods import Engines, Pod
from components.config.profile import (
    DiarizeStep,
    Profile,
    TrainStep,
    TranscribeStep,
    TurnsStep,
    load_profile,
    load_train_step,
)
from components.config.settings import Environment, Settings
from components.config.version_answers import VersionAnswers, version_answers
from components.config.version_labels import version_labels
from components.config.version_serving import version_serving
from components.config.version_speech import (
    MODEL_REVISIONS,
    SPEECH_MODELS,
    VersionSpeech,
    check_heard_by,
    speech_digests,
    version_speech,
)
