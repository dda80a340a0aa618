"""Strings from outside as text of a page: escaped, and cut to a length that people read."""

import html

LETTERS = 500  # of one text


def plain(value: object) -> str:
    """`value` as one line of visible text: a line break, a control or a lone surrogate of a file's name shows as its escape."""
    told = str(value)
    shown = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in told[:LETTERS])
    return shown if len(told) <= LETTERS else f"{shown}\N{HORIZONTAL ELLIPSIS}"


def text(value: object) -> str:
    """`plain`, escaped for an element or a quoted attribute."""
    return html.escape(plain(value))
