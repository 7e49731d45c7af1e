"""What somebody in a tenant's namespace could try, and who has to refuse each of it.

A trial pod that must be admitted, then the same pod with one thing changed; objects of other kinds;
and questions about what a tenant's people and programs may do. Answers are judged by who refused:
a refusal by something else proves nothing of the control that is meant.

Pure, imports only ``api``. Never: sends anything, or knows how the policies read.
Source of the rows: the catalogue of attacks in ``docs/proof.md``.
"""
