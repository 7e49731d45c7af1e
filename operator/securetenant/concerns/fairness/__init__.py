"""Requests of tenants queue apart: FlowSchemas."""
