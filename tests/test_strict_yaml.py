from pathlib import Path

import pytest
from dvc.exceptions import DvcException
from dvc.utils import strictyaml

from xraydenoise import strict_yaml


@pytest.fixture
def written(tmp_path: Path):
    def write(content: str | bytes) -> Path:
        path = tmp_path / "a.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


BOMB = "\n".join(["a0: &a0 [1, 2]", *(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12))])
MERGES = "\n".join(["a0: &a0 {k: 1}", *(f"a{level}: &a{level}\n  <<: [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12))])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("seed: 1\nseed: 2\n", 'duplicate key "seed" with value "2"'),
        ("train:\n  steps: 1\n  steps: 2\n", 'duplicate key "steps" with value "2"'),
        ("a: [1\nb: 2\n", "is not YAML"),
        ("a: 1\n---\nb: 2\n", "is not YAML: expected a single document"),
        ("a: !!python/object/apply:os.getcwd []\n", "is not YAML: could not determine a constructor"),
        ("a: *b\n", "is not YAML: found undefined alias"),
        ("a: &a [*a]\n", "or for themselves"),
        (BOMB, "its aliases stand for more than 100000 values"),
        (MERGES, "its aliases stand for more than 100000 values"),
        ("[" * 3000 + "]" * 3000, "is nested too deeply"),
        (b"a: \xff\n", "is not UTF-8 text, byte 3"),
        ("a: 1\n".encode("utf-16"), "is not UTF-8 text, byte 0"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_in_one_line_that_names_the_file(written, content, said):
    path = written(content)
    with pytest.raises(ValueError, match=r"a\.yaml") as error:
        strict_yaml.read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "content", ["a: 1e-3", "a: 010", "a: yes", "a: 1_000", "a: .inf", "a: '3'", "a: &x {b: 1}\nc: {<<: *x, d: 2}", "a:"]
)
def test_a_value_is_what_dvc_takes_it_for(written, content):
    path = written(content + "\n")
    assert strict_yaml.read(path) == strictyaml.load(str(path))[0]


def test_what_dvc_refuses_is_refused_before_anything_runs(written):
    path = written("seed: 1\nseed: 2\n")
    with pytest.raises(DvcException):
        strictyaml.load(str(path))
    with pytest.raises(ValueError, match="duplicate key"):
        strict_yaml.read(path)


def test_a_file_from_windows_that_begins_with_a_byte_order_mark_is_read(written):
    assert strict_yaml.read(written(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")) == {"a": 1, "b": 2}
