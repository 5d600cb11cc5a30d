"""The container images that the components run in; `infra/images` builds them."""

CPU_IMAGE = "moodline/cpu:0.1.0"
GPU_IMAGE = "moodline/gpu:0.1.0"
