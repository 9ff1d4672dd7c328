"""The NATS-Bench topology space."""
