"""YAML as DVC reads it (YAML 1.2), with what DVC refuses refused before anything runs, and a limit on aliases."""

from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import Node, ScalarNode

MOST = 100_000  # values in a file, each alias counted as all that it stands for


def read(path: Path) -> object:
    """The content of a file. Raises ValueError naming the file: not UTF-8, not YAML, a key given twice, aliases without end."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows' editors may begin it with a byte order mark
        root = YAML(typ="safe").compose(text)
        if root is not None and _values(root, {}) > MOST:
            raise ValueError(f"{path}: its aliases stand for more than {MOST} values, or for themselves; write the values out")
        content: object = YAML(typ="safe").load(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 text, byte {error.start}; save it as UTF-8") from error
    except RecursionError as error:
        raise ValueError(f"{path}: is nested too deeply to be read") from error
    except YAMLError as error:
        message = " ".join(str(error).split("To suppress")[0].split()).replace('in "<unicode string>", ', "at ")
        raise ValueError(f"{path}: is not YAML: {message}") from error
    return content


def _values(node: Node, counted: dict[int, int]) -> int:
    """How many values a node stands for when every alias is written out."""
    if id(node) not in counted:
        counted[id(node)] = MOST + 1  # what it stays when the node holds itself
        entries = [] if isinstance(node, ScalarNode) else node.value
        children = [child for entry in entries for child in (entry if isinstance(entry, tuple) else (entry,))]
        counted[id(node)] = 1 + sum(_values(child, counted) for child in children)
    return counted[id(node)]
