"""What the operator says: outcomes of its work turned into conditions.

May import: ``api`` and ``plan``. Never: touches the cluster or reads a clock; the time is an
argument. The previous status is read only for ``lastTransitionTime``.
"""
