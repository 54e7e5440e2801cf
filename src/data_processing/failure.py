"""What a person reads last when the stream fails: one line with the first cause."""

import re

_JAVA_CAUSE = re.compile(r"^Caused by: (?:[\w.$]+\.)?(\w+(?:Exception|Error)\b.*)$", re.MULTILINE)
_LENGTH = 400


def last_line(error: BaseException) -> str:
    """The innermost cause of an error, in one line: Spark wraps it several times.

    >>> last_line(OSError(28, "No space left on device"))
    'OSError: [Errno 28] No space left on device'
    """
    text = str(error)
    causes = _JAVA_CAUSE.findall(text)
    first = next((line for line in text.splitlines() if line.strip()), "")
    told = causes[-1] if causes else f"{type(error).__name__}: {first}"
    return str(told)[:_LENGTH]
