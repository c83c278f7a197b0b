"""The one error that is written for a user to read."""


class Any2AnyError(ValueError):
    """Something outside the program is wrong. The error says what, why, and what to do about it.

    Commands print it on one line and exit with 2. Nodes log it, report it in their diagnostics and keep running.
    """

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(f"{what}: {why}. {remedy}")
        self.what, self.why, self.remedy = what, why, remedy


def error_text(error: Exception) -> str:
    """Return what to log of an error: the text of an Any2AnyError, else also the type of the error."""
    return str(error) if isinstance(error, Any2AnyError) else repr(error)
