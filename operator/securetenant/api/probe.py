"""The packet probe: its ports, by which side's NetworkPolicy has to refuse each, and its words.

Of ``manifests/packets/network.yaml``; a test compares.
"""

ALLOWED = 8080
"""Both sides allow it: what tells a filter from a network that is down."""
INGRESS = 8081
"""The sender may, and the receiver's side refuses it."""
EGRESS = 8082
"""The receiver would let it in, and the sender's side refuses it."""
NEITHER = 8083
"""Both sides refuse it."""
REFUSED = (INGRESS, EGRESS, NEITHER)
HEALTH = 8090
"""Where the kubelet asks the sender."""

NOT_FILTERED = 3
"""With which exit code the sender ends when something arrived that is refused."""
GREETING = b"securetenant\n"
"""What a receiver answers: another program that takes the connection is no receiver."""
