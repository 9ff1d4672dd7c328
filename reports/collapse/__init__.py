"""Which searches collapsed, when, and what told it beforehand."""
