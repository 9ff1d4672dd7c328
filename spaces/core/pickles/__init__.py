"""The parts of `spaces.core.unpickle`: a pickle's bytes, its instructions, its arrays."""
