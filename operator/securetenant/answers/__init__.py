"""What people ask about a cluster, and the answers: values, from other values.

Each module answers one question of the program (``securetenant status``, ``reach``, ``why`` ...)
from a :class:`~securetenant.answers.snapshot.Snapshot`, which the program has read with the rights
of whoever asks. May import: ``reconcile`` and what is below it. Never: reads anything, knows the
time, or decides how an answer looks on a terminal.
"""
