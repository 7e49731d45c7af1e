"""What people ask about a cluster, and the answers: values, from other values.

Each module answers one question of the program (``securetenant status``, ``reach``, ``why`` ...)
from what the program has read with the rights of the person who asks, mostly a
:class:`~securetenant.answers.snapshot.Snapshot`. May import: ``concerns`` and what is below it.
Never: reads anything, knows the time, or decides how an answer looks on a terminal.
"""
