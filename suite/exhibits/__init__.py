"""The papers' exhibits on the command line: what each lacks here, the study that fills it, and those of a user."""
