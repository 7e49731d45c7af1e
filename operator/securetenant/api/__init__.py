"""The vocabulary: kinds, fields, names, conditions, values that rooms hand to each other.

May import: pydantic and the standard library. Never: does I/O, reads a clock, or knows
kopf, HTTP or any other room.
"""
