"""What can go wrong when writing to the cluster, named by who must act."""


class ClusterError(Exception):
    """A request that did not work; the message is what the API server said."""


class RefusedError(ClusterError):
    """The API server understood and said no (400, 403, 422): somebody must change something."""


class ConflictError(ClusterError):
    """The object exists already, or is not the one that was meant (409, failed test)."""


class MissingError(ClusterError):
    """The object, its namespace or its kind is not there (404)."""


class HeldError(ClusterError):
    """The deletion was accepted, and finalizers of others keep the object."""


class UnavailableError(ClusterError):
    """No answer, or none that counts (429, 5xx, network): it is tried again.

    ``retry_after`` is how many seconds the API server asked to send nothing, or 0.
    """

    def __init__(self, text: str, *, retry_after: float = 0) -> None:
        self.retry_after = retry_after
        super().__init__(text)


class StandbyError(UnavailableError):
    """It was not sent: this process does not lead, and only the one that leads writes."""

    def __init__(self) -> None:
        super().__init__("this replica does not lead, so it writes nothing")
