"""What is asked over HTTP, and what of the service answers it."""
