"""Where a pipeline runs: on this machine, in containers, on Kubeflow."""
