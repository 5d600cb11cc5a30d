"""Serving: recordings in, turns with emotions out.

`supervisor` is the process that hosts: it starts Triton and the service, and rolls versions out.
`api` is the process that answers, and `engine` is what it does with a recording. `triton` runs the
fusion model. `lineup` is the contract between the two processes: which versions are served.
"""
