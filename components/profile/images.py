"""The container images that the components run in; `infra/images` builds them.

A pipeline puts the registry before these names and the code's digest behind them, so that a step
runs the very code that asked for it.
"""

SLIM_IMAGE = "moodline/slim"
"""For steps that run no model: no torch in it."""

CPU_IMAGE = "moodline/cpu"

GPU_IMAGE = "moodline/gpu"
"""The same with CUDA; takes the place of the CPU image where a step asks for GPUs."""
