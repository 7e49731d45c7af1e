"""Text for people: what others chose is in it, and a terminal or a log may obey it."""


def escape(text: str) -> str:
    r"""Return the text with everything that does not print as an escape, such as ``\x1b``.

    Those are control characters, line ends, marks that turn the direction of writing, and
    characters of no width. Names of finalizers, values and users are anybody's to choose.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def shorten(text: str, most: int) -> str:
    """Return the text in so many bytes of UTF-8; an ellipsis stands for what is left out.

    The API server counts the bytes of an Event's note, and a schema the characters of a message:
    who counts bytes is within both.
    """
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    return f"{encoded[: most - len('…'.encode())].decode(errors='ignore')}…"
