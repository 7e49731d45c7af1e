"""Verification: tries to break the isolation of each namespace, and says what came of it."""
