"""Real nodes: a kubelet, containers and packets, without a virtual machine and without Docker.

The control plane gets a network namespace of its own, the hub, with a bridge. Each node is a
process with network, mount and process namespaces of its own (:mod:`node`), joined to the bridge.
All of them end with the supervisor. What outlives processes is files of the instance and control
groups (:mod:`cgroups`). The one thing on the machine's own network is the API server's port on
loopback (:mod:`door`).
"""
