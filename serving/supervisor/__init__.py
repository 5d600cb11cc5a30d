"""The process that hosts: it starts Triton and the service, rolls versions out and watches them."""
