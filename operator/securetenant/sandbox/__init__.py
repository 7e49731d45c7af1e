"""A real Kubernetes control plane on loopback, in seconds and without containers.

The demo, every integration test, the benchmark and everybody who wants to try a spec use
this room. It finds or builds pinned binaries (:mod:`binaries`), makes credentials
(:mod:`pki`), and runs one detached supervisor per instance (:mod:`supervisor`).

May import: ``api`` for names, and the libraries of the extra ``[sandbox]``.
Never: reconciles anything, talks to a cluster that it did not start, or writes outside the
cache and state folders of :mod:`folders`.
"""
