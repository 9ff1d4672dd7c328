"""The parts of `spaces.common.unpickling`: a pickle's bytes, its instructions, its arrays."""
