"""Why the operator does not start."""


class StartError(Exception):
    """It does not start; the message says what is wrong and what to do, in one line."""
