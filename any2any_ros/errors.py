"""The one error a user is meant to read."""


class Any2AnyError(ValueError):
    """Something outside the program is wrong: says what, why, and what to do about it.

    Commands print it on one line and exit with 2; nodes log it, diagnose it and stay up.
    """

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(f"{what}: {why}. {remedy}")
        self.what, self.why, self.remedy = what, why, remedy


def told(error: Exception) -> str:
    """Return what to log of an error: ours are made to be read, others need their type."""
    return str(error) if isinstance(error, Any2AnyError) else repr(error)
