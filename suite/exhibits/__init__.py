"""Exhibits on the command line: their states, their trials as studies, and a user's own."""
