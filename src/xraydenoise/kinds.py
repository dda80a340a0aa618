"""A room where one file is one kind: the file's name is its entry, found by import, so that a new kind is a new file."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator


class Config(BaseModel):
    """What a person may turn of one thing: frozen, typed strictly ("3" is no number), and a key that nobody reads is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def lists_are_tuples(cls, entry: Any) -> Any:
        """YAML and JSON know lists alone; what is frozen holds tuples."""
        return _frozen(entry)


def _frozen(entry: Any) -> Any:
    if isinstance(entry, list):
        return tuple(map(_frozen, entry))
    return {key: _frozen(value) for key, value in entry.items()} if isinstance(entry, dict) else entry


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
            raise ValueError("; ".join(line(fault) for fault in error.errors())) from error

    return read


def _load(package: str, kind: str) -> Any:
    return importlib.import_module(f"{package}.{kind}")


YAML = {"tuple_type": "Input should be a list", "model_type": "Input should be a mapping", "dict_type": "Input should be a mapping"}


def line(fault: Any) -> str:
    """One of ValidationError.errors() as a line: the entry, what is allowed, the value that is there (a section is not repeated)."""
    entry, value = ".".join(str(part) for part in fault["loc"]), fault["input"]
    value = list(value) if isinstance(value, tuple) else value  # as it is written in YAML
    message = YAML.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    found = "" if fault["type"] == "missing" or isinstance(value, dict | BaseModel) else f", found {value!r}"
    return f"{entry + ': ' if entry else ''}{message}{found}"
