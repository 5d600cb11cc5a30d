"""The fusion model on Triton: its environment, its model repository, its server, its client.

`setup` makes the small second Python environment, `export` writes a registered model into the
model repository (with `model.py`, which runs there), `server` runs tritonserver, `client` asks it.
"""
