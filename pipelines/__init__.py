"""How the components are composed, how a run starts, and the command line."""
