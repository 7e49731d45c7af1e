"""SecureTenant: isolated tenants on Kubernetes, kept and proved by an operator."""
