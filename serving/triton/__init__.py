"""The fusion model on Triton: its environment, its model repository, its server, its client.

`environment` makes the small second Python environment. `repository` writes a registered model into
the model repository, with `model.py`, which runs there. `server` runs tritonserver, `control` loads
and proves versions, and `client` asks for answers.
"""
