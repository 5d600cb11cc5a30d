"""Serving: recordings in, turns with emotions out.

`analyze` composes the verbs into one answer; `service` is the BentoML service before it and
`page.html` its page; `triton/` is the model behind it; `serve` brings all of it up.
"""
