"""The KFP pipelines: what runs after what, on which images."""
