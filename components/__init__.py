"""What is done to a conversation.

Every room may use `base`, `conversation`, `config`, `fusion`, `scoring`, `traffic` and `reporting`.
The other rooms are named by verbs. They are the steps of a pipeline, and `drift`; none imports
another.
"""
