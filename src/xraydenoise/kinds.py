"""A room where one file is one kind: the file's name is its entry, found by import, so that a new kind is a new file."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class Config(BaseModel):
    """What a person may turn of one thing: frozen, and a key that nobody reads is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def by_kind(package: str) -> Callable[[Any], Any]:
    """A pydantic validator that reads a mapping by the `Config` of the file in `package` that its `kind` names.

    It raises ValueError naming the key, the value found and what is allowed.
    """

    def read(entry: Any) -> Any:
        if isinstance(entry, Config):
            return entry
        room = importlib.import_module(package)
        kinds = sorted(module.name for module in pkgutil.iter_modules(room.__path__) if hasattr(_load(package, module.name), "Config"))
        if not isinstance(entry, dict) or "kind" not in entry:
            raise ValueError(f"has no kind; expected one of {', '.join(kinds)}")
        if entry["kind"] not in kinds:
            raise ValueError(f"kind: unknown; expected one of {', '.join(kinds)}, found {entry['kind']!r}")
        try:
            return _load(package, entry["kind"]).Config.model_validate(entry)
        except ValidationError as error:
            raise ValueError("; ".join(_line(fault) for fault in error.errors())) from error

    return read


def _load(package: str, kind: str) -> Any:
    return importlib.import_module(f"{package}.{kind}")


def _line(fault: Any) -> str:
    entry = ".".join(str(part) for part in fault["loc"])
    found = "" if fault["type"] == "missing" else f", found {fault['input']!r}"
    return f"{entry + ': ' if entry else ''}{fault['msg'].removeprefix('Value error, ')}{found}"
