"""Whether packets are filtered: what the packet probe came to, where it is installed."""
