"""Text that people and their programs write into tables, headers and names of files: one Unicode form, and what says "not known"."""

import unicodedata

# What R, pandas, NumPy, Julia, SQL, SAS, JSON and spreadsheets write where there is no value, in lower case.
MISSING = frozenset(
    {
        *("", ".", "<na>", "missing", "n.a.", "n/a", "na", "na_character_", "nil", "none", "null", "\\n"),
        *("nan", "-nan", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
        *("#na", "#n/a", "#n/a n/a", "#div/0!", "#name?", "#null!", "#num!", "#ref!", "#value!"),
    }
)


def composed(text: str) -> str:
    """`text` in Unicode's form C: macOS takes names apart (u and its dots), other systems and people's tables do not."""
    return unicodedata.normalize("NFC", text)


def known(text: str) -> str | None:
    """`text` composed and without blanks around it; None where it stands for a missing value."""
    found = composed(text).strip()
    return None if found.casefold() in MISSING else found
