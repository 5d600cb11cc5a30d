"""The typed, frozen configuration: what is run (a profile) and where (the settings).

A profile says which models, with which numbers; its digest names the work done under it. The
settings say where things lie on this machine. Both are loaded at the edge and passed down.
"""

from components.profile.cache import Cache, file_digest, json_digest, tree_digest
from components.profile.cluster import ClusterSettings, Secret, Toleration, Volume
from components.profile.gate import GateSettings
from components.profile.parts import load_part
from components.profile.profile import (
    AlignSettings,
    DiarizeSettings,
    ExperimentSettings,
    FusionSettings,
    Profile,
    ProtocolSettings,
    TrainSettings,
    TranscribeSettings,
    load_profile,
)
from components.profile.recordings import WHOLE, Progress, shard_of, work_through
from components.profile.settings import Environment, Settings, model_digest, resolve_model

__all__ = [
    "WHOLE",
    "AlignSettings",
    "Cache",
    "ClusterSettings",
    "DiarizeSettings",
    "Environment",
    "ExperimentSettings",
    "FusionSettings",
    "GateSettings",
    "Profile",
    "Progress",
    "ProtocolSettings",
    "Secret",
    "Settings",
    "Toleration",
    "TrainSettings",
    "TranscribeSettings",
    "Volume",
    "file_digest",
    "json_digest",
    "load_part",
    "load_profile",
    "model_digest",
    "resolve_model",
    "shard_of",
    "tree_digest",
    "work_through",
]
