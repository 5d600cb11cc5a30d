"""The typed, frozen configuration: what is run (a profile) and where (the settings).

A profile says which models, with which numbers; its digest names the work done under it. The
settings say where things lie on this machine. Both are loaded at the edge and passed down.
"""

from components.profile.cache import Cache, file_digest, json_digest, tree_digest
from components.profile.profile import (
    AlignSettings,
    DiarizeSettings,
    ExperimentSettings,
    FusionSettings,
    GateSettings,
    Profile,
    ProtocolSettings,
    TrainSettings,
    TranscribeSettings,
    load_profile,
)
from components.profile.settings import Settings, resolve_model

__all__ = [
    "AlignSettings",
    "Cache",
    "DiarizeSettings",
    "ExperimentSettings",
    "FusionSettings",
    "GateSettings",
    "Profile",
    "ProtocolSettings",
    "Settings",
    "TrainSettings",
    "TranscribeSettings",
    "file_digest",
    "json_digest",
    "load_profile",
    "resolve_model",
    "tree_digest",
]
