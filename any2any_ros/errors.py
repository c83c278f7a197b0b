"""The one error that is written for a user to read."""

from collections.abc import Iterator
from contextlib import contextmanager

MOST = 2000  # characters of each part of an error; the rest of a longer one is left out


class Any2AnyError(ValueError):
    """Something outside the program is wrong. The error says what, why, and what to do about it.

    Commands print it on one line and exit with 2. Nodes log it, report it in their diagnostics and keep running.
    """

    def __init__(self, what: str, why: str, remedy: str) -> None:
        self.what, self.why, self.remedy = (_one_line(part) for part in (what, why, remedy))
        super().__init__(f"{self.what}: {self.why}. {self.remedy}")


def error_text(error: Exception) -> str:
    """Return what to log of an error: the text of an Any2AnyError, else also the type of the error."""
    return str(error) if isinstance(error, Any2AnyError) else repr(error)


@contextmanager
def explained(what: str, remedy: str) -> Iterator[None]:
    """Turn every error of the block into an Any2AnyError that says `what` and `remedy`; its reason is the error's.

    For reading a file: whatever is wrong with it, the user does the same about it.
    """
    try:
        yield
    except Any2AnyError as error:
        raise Any2AnyError(what, f"{error.what}: {error.why}", remedy) from error
    except Exception as error:
        ours = type(error) is ValueError  # raised with a sentence; the texts of others need the type beside them
        why = str(error) if ours else ": ".join(filter(None, (type(error).__name__, str(error))))
        raise Any2AnyError(what, why, remedy) from error


def _one_line(text: str) -> str:
    """Return a text that may quote a file or a message: on one line, and without what a terminal would obey."""
    shown = text if len(text) <= MOST else f"{text[:MOST]}..."
    if not shown.isprintable():
        shown = " ".join(line.strip() for line in shown.splitlines())
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)
    return shown
