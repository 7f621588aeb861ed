"""The training loop and its pieces. Everything here imports torch; `evaluators.train` declares what uses it."""
