"""The demo corpus: data, and what made it (`make`)."""
