"""A corpus in which turns and sentences do not coincide; so far its plan and its generator."""
