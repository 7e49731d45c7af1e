"""What operators of the operator see: logs and metrics.

May import: ``reconcile`` (for its ports), structlog, prometheus_client. Never: decides.
"""
