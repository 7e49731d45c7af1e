"""The one error of the sandbox: a sentence that says what is wrong and what to do."""


class SandboxError(Exception):
    """Something the person at the keyboard can act on.

    ``problem`` says what was looked for and what was found; ``remedy`` says what to do.
    """

    def __init__(self, problem: str, *, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem} {remedy}")
