"""The program's subcommands: arguments in, text for people and for pipes out.

May import: every room below. Never: holds logic of its own that another room could use.
"""
