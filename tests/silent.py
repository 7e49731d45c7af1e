"""Who counts and tells nothing, for tests of what is written."""

from securetenant.reconcile.ports import Announcement


class Silent:
    """A meter and an announcer; keeps how far the roll-out is, and nothing else."""

    rolled: tuple[int, int, bool] = (0, 0, False)

    def wrote(self, verb: str, kind: str) -> None: ...
    def policies_in_force(self, yes: bool) -> None: ...
    def drifted(self, kind: str) -> None: ...
    def reconciled(self, kind: str, seconds: float, *, failed: bool) -> None: ...
    def announce(self, announcement: Announcement) -> None: ...

    def rolled_out(self, followed: int, total: int, *, halted: bool) -> None:
        self.rolled = (followed, total, halted)
