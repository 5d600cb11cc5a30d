"""Labelled examples become a model version: one folder with all that serving and watching need.

`train` checks the input, and starts several processes if the profile wants them. `worker` is what
each process does, `loop` how a module is fitted, `version` what is written. Only `worker` and what
it imports need torch.
"""

from components.train.train import train
from components.train.version import TrainResult
