"""The process that answers: the BentoML service, its endpoints and its limits."""
