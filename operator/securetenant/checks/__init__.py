"""A second opinion: what the walls do, and what the rules refuse, said once more.

Pure, imports only ``api``. Never: knows how ``desired`` builds or how the policies' CEL reads,
touches the cluster, or reads a clock. Whatever wrote an object, only what Kubernetes makes of it
counts here; the tests hold the API server's answers to these predicates.

Reachability, from the inside out: ``selectors``, ``ports`` and ``blocks`` are sets; ``policies``
are compiled objects; ``tiers`` and ``outside`` say what rules decide about pods and addresses;
``population`` knows who is where; ``reachability`` answers which flows are allowed. ``declared``
reads which are meant, ``judgement`` compares the two, ``foreign`` names what nobody evaluates, and
``services`` the ways in. ``live`` reads pods and namespaces, ``imagined`` makes them up.
"""
