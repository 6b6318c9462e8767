"""Text of strangers, made harmless: for the terminal, and for files in UTF-8."""

from __future__ import annotations

import re

# a sequence that is never ended swallows nothing behind it but its own first character
_SEQUENCES = re.compile(
    r"""
    (?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]                        # CSI: colours, cursor, erasing
    | (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)  # OSC, DCS
    | \x1b[ -/]*[0-~]                                       # two characters
    """,
    re.VERBOSE,
)
# what is left of C0 and C1, and what turns the direction of the text around it
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    r"""Strip what a terminal would obey: escape sequences, control characters, bidi overrides.

    Tab and newline stay; half an emoji becomes U+FFFD, so that the text can be printed.

    Example:
        >>> plain("\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07text\r\n")
        'red text\n'
    """
    return encodable(_CONTROLS.sub("", _SEQUENCES.sub("", text)))


def short(text: object, length: int = 80) -> str:
    """Show a stranger's text inside a sentence: on one line, harmless, cut after some characters.

    Example:
        >>> short("one  two" + " and more" * 99, 20)
        'one two and more and...'
    """
    line = " ".join(plain(str(text)[: 2 * length]).split())
    return line if len(line) <= length else f"{line[:length].rstrip()}..."


def encodable(text: str) -> str:
    r"""Replace halves of surrogate pairs, which UTF-8 cannot hold, by U+FFFD; join whole pairs.

    Example:
        >>> encodable("half: \ud83d, whole: \ud83d\ude00")
        'half: \ufffd, whole: 😀'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
