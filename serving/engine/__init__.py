"""What the service does with a recording, whoever sent it."""
