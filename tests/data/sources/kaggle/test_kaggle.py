"""The real kagglehub client against a server on this machine that answers as Kaggle does."""

import random
import shutil
import time
import traceback
import types
from email.utils import formatdate
from pathlib import Path

import pandas as pd
import pytest

from xraydenoise import contracts, progress, transfer
from xraydenoise.data.sources import kaggle
from xraydenoise.data.sources.kaggle import archive

PNEUMONIA = {
    "chest_xray/train/NORMAL/IM-0115-0001.jpeg": b"1",
    "chest_xray/train/NORMAL/NORMAL2-IM-0030-0001.jpeg": b"2",
    "chest_xray/train/PNEUMONIA/person3_bacteria_10.jpeg": b"3",
    "chest_xray/test/PNEUMONIA/person3_virus_16.jpeg": b"4",
    "chest_xray/val/NORMAL/NORMAL2-IM-1440-0001-0002.jpeg": b"5",
    "chest_xray/chest_xray/train/NORMAL/IM-0115-0001.jpeg": b"1",
    "chest_xray/chest_xray/test/PNEUMONIA/person3_virus_16.jpeg": b"4",
    "chest_xray/chest_xray/train/.DS_Store": b"",
    "chest_xray/__MACOSX/chest_xray/train/NORMAL/._IM-0115-0001.jpeg": b"",
    "chest_xray/__MACOSX/train/NORMAL/IM-0115-0001.jpeg": b"x",
}
TABLE = b",X_ray_image_name,Label,Dataset_type\n0,IM-0115-0001.jpeg,Normal,TRAIN\n1,nejmoa2001191_f1-PA.jpeg,Pnemonia,TRAIN\n"
CORONA = {
    "Chest_xray_Corona_Metadata.csv": TABLE,
    "Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset/train/IM-0115-0001.jpeg": b"1",
    "Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset/train/nejmoa2001191_f1-PA.jpeg": b"2",
}
LARGE = PNEUMONIA | {"chest_xray/train/NORMAL/IM-0200-0001.jpeg": random.Random(0).randbytes(2_500_000)}
TOKEN = "KGAT_0123456789abcdef"


def config(rule: str = "pneumonia", version: int = 2) -> kaggle.Config:
    return kaggle.Config.model_validate(
        {"kind": "kaggle", "path": "a", "handle": f"owner/{rule}", "version": version, "rule": rule, "licence": "CC BY 4.0"}
    )


def fetch(rule: str = "pneumonia", version: int = 2) -> pd.DataFrame:
    """As stage `download` does it: into an empty folder."""
    shutil.rmtree("out", ignore_errors=True)
    Path("out").mkdir()
    return contracts.Downloads.validate(config(rule, version).fetch(Path("out")))


def left() -> list[str]:
    """What lies in the working folder."""
    return sorted(path.name for path in kaggle.WORK.iterdir())


def calls(server) -> int:
    return server.asked.count("DownloadDataset")


def test_pneumonia_comes_with_patients_and_labels_and_without_second_copies(server, capsys):
    server.holds("owner/pneumonia", PNEUMONIA)
    files = fetch().set_index("path")
    assert files["patient"].to_dict() == {
        "files/test/PNEUMONIA/person3_virus_16.jpeg": "person3",
        "files/train/NORMAL/IM-0115-0001.jpeg": "IM-0115",
        "files/train/NORMAL/NORMAL2-IM-0030-0001.jpeg": "NORMAL2-IM-0030",
        "files/train/PNEUMONIA/person3_bacteria_10.jpeg": "person3",
        "files/val/NORMAL/NORMAL2-IM-1440-0001-0002.jpeg": "NORMAL2-IM-1440",
    }
    assert list(files["label"]) == ["pneumonia", "normal", "normal", "pneumonia", "normal"]
    assert {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()} == set(files.index)
    assert "2 files lie in the archive twice" in capsys.readouterr().out
    assert server.asked == ["DownloadDataset"]
    assert left() == []


def test_what_lies_elsewhere_in_the_archive_is_counted_and_named(server, capsys):
    others = [
        "valid/NORMAL/IM-0002-0001.jpeg",
        "train/COVID/IM-0003-0001.jpeg",
        "train/NORMAL/deep/IM-0004-0001.jpeg",
        "test/PNEUMONIA/x.bmp",
    ]
    server.holds("owner/pneumonia", PNEUMONIA | {f"chest_xray/{name}": b"x" for name in others})
    assert len(fetch()) == 5
    told = ", ".join(f"chest_xray/{name}" for name in sorted(others))
    assert f"4 files are no images of {{train,val,test}}/{{NORMAL,PNEUMONIA}} and left out: {told}\n" in capsys.readouterr().out
    server.holds("owner/coronahack", CORONA | {"Coronahack-Chest-XRay-Dataset/train/x.bmp": b"x"})
    assert len(fetch("coronahack")) == 2
    assert "1 files are no images and left out: Coronahack-Chest-XRay-Dataset/train/x.bmp\n" in capsys.readouterr().out


def test_two_files_of_one_name_that_differ_are_not_chosen_between(server):
    server.holds("owner/pneumonia", PNEUMONIA | {"chest_xray/chest_xray/train/NORMAL/IM-0115-0001.jpeg": b"other"})
    with pytest.raises(ValueError, match=r"IM-0115-0001\.jpeg: differs from .* `version` in params\.yaml"):
        fetch()


def test_coronahack_takes_labels_from_its_table_and_patients_from_the_same_names(server):
    server.holds("owner/coronahack", CORONA)
    known, other = fetch("coronahack").to_dict("records")
    assert (known["path"], known["patient"], known["label"]) == ("files/train/IM-0115-0001.jpeg", "IM-0115", "normal")
    assert (other["label"], other["patient"]) == ("pneumonia", "nejmoa2001191")
    assert config("coronahack").family == config("pneumonia").family != ""


def test_a_table_and_files_that_disagree_are_told(server, capsys):
    server.holds("owner/coronahack", CORONA | {"Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset/test/new.jpeg": b"3"})
    assert fetch("coronahack")["label"].isna().sum() == 1
    assert "0 listed images are not in the archive, 1 images have no label in it" in capsys.readouterr().out


def test_a_missing_value_in_the_table_is_no_label(server, capsys):
    server.holds("owner/coronahack", CORONA | {"Chest_xray_Corona_Metadata.csv": TABLE.replace(b"Pnemonia", b"NA")})
    assert fetch("coronahack")["label"].isna().sum() == 1
    assert "0 listed images are not in the archive, 1 images have no label in it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (TABLE.replace(b"Pnemonia", b"Covid"), r"Metadata\.csv: line 3: Label 'Covid' is unknown, expected one of NORMAL, Normal"),
        (TABLE.replace(b"Label", b"Class"), r"Metadata\.csv: has no column Label; correct `rule` or `version`"),
    ],
)
def test_a_table_that_cannot_be_read_names_its_line_and_value(server, table, fault):
    server.holds("owner/coronahack", CORONA | {"Chest_xray_Corona_Metadata.csv": table})
    with pytest.raises(ValueError, match=fault):
        fetch("coronahack")


@pytest.mark.parametrize("rule", ["pneumonia", "coronahack"])
def test_an_archive_of_another_layout_is_refused_and_needs_no_second_download(rule, server):
    server.holds(f"owner/{rule}", {"data/a.jpeg": b"1"})
    for _ in range(2):
        with pytest.raises(ValueError, match=r"correct `rule`.* in params\.yaml"):
            fetch(rule)
    assert calls(server) == 1


@pytest.mark.parametrize("percent", [10, 50, 99])
def test_a_cut_transfer_goes_on_where_it_was_cut(percent, server):
    whole = server.holds("owner/pneumonia", LARGE)
    server.cuts = [len(whole) * percent // 100]
    assert len(fetch()) == 6
    (_, first), (start, rest) = server.sent
    assert first - transfer.CHUNK <= start < first
    assert start + rest == len(whole)


def test_a_run_that_ended_half_way_goes_on_in_the_next(server, monkeypatch):
    whole = server.holds("owner/pneumonia", LARGE)
    server.cuts = [len(whole) // 2]
    monkeypatch.setattr(transfer, "WAITS", ())
    with pytest.raises(ConnectionError, match=r"^kaggle owner/pneumonia, version 2: download failed: .*; run again later, it goes on"):
        fetch()
    assert left() == ["owner.pneumonia.v2.zip.partial"]
    assert len(fetch()) == 6
    assert sum(count for _, count in server.sent) <= len(whole) + transfer.CHUNK


def test_a_run_that_was_killed_while_it_unpacked_asks_kaggle_for_nothing_again(server, monkeypatch):
    server.holds("owner/pneumonia", PNEUMONIA)

    def killed(*arguments):
        half = kaggle.WORK / "owner.pneumonia.v2.partial" / "chest_xray" / "train" / "NORMAL"
        half.mkdir(parents=True)
        (half / "IM-0999-0001.jpeg").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(archive, "unpack", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch()
    assert len(fetch()) == 5
    assert calls(server) == 1
    assert left() == []


def test_each_step_forward_earns_as_many_attempts_again(server):
    whole = server.holds("owner/pneumonia", LARGE)
    server.cuts = [len(whole) * tenth // 10 for tenth in range(1, 10)]
    assert len(fetch()) == 6
    assert len(server.sent) == 10


def test_a_server_without_ranges_sends_the_archive_anew(server):
    whole = server.holds("owner/pneumonia", LARGE)
    server.ranges, server.cuts = False, [len(whole) // 2]
    assert len(fetch()) == 6
    assert server.sent == [(0, len(whole) // 2), (0, len(whole))]


def test_an_error_page_is_never_appended_to_what_is_resumed(server):
    whole = server.holds("owner/pneumonia", LARGE)
    server.cuts, server.store_states = [len(whole) // 2], [0, 503]
    assert len(fetch()) == 6
    assert sum(count for _, count in server.sent) <= len(whole) + transfer.CHUNK


def test_a_wrong_hash_deletes_what_arrived_and_downloads_it_again(server, capsys):
    whole = server.holds("owner/pneumonia", LARGE)
    server.hashes = ["crc32c=AAAAAA==,md5=Ojk9c3dhfxgoKVVHYwFbHQ=="]
    assert len(fetch()) == 6
    assert server.sent == [(0, len(whole)), (0, len(whole))]
    assert "the server gives Ojk9c3dhfxgoKVVHYwFbHQ==; what arrived is deleted; next attempt" in capsys.readouterr().out


def test_a_hash_that_stays_wrong_ends_in_one_line_and_leaves_nothing(server):
    server.holds("owner/pneumonia", PNEUMONIA)
    server.hashes = ["md5=Ojk9c3dhfxgoKVVHYwFbHQ=="] * 9
    with pytest.raises(ConnectionError, match=r"version 2: download failed: arrived with md5 .*, the server gives Ojk9c3") as caught:
        fetch()
    assert "\n" not in str(caught.value)
    assert calls(server) == 3
    assert left() == []


def test_a_run_that_was_killed_at_the_last_byte_fetches_only_that_again(server):
    whole = server.holds("owner/pneumonia", LARGE)
    kaggle.WORK.mkdir(parents=True)
    (kaggle.WORK / "owner.pneumonia.v2.zip.partial").write_bytes(whole)
    assert len(fetch()) == 6
    assert server.sent == [(len(whole) - 1, 1)]


@pytest.mark.parametrize("more", [0, 7], ids=["as long", "longer"])
def test_another_file_in_the_place_of_the_half_one_is_not_taken_for_the_archive(more, server):
    whole = server.holds("owner/pneumonia", LARGE)
    kaggle.WORK.mkdir(parents=True)
    (kaggle.WORK / "owner.pneumonia.v2.zip.partial").write_bytes(bytes(len(whole) + more))
    assert len(fetch()) == 6
    assert server.sent[-1] == (0, len(whole))


def test_a_server_that_dies_and_comes_back_is_found_again(server, monkeypatch, capsys):
    whole = server.holds("owner/pneumonia", LARGE)
    server.cuts = [len(whole) // 2]
    steps = iter([server.stop, server.start])
    monkeypatch.setattr(transfer, "time", types.SimpleNamespace(sleep=lambda _: next(steps)(), time=time.time, monotonic=time.monotonic))
    assert len(fetch()) == 6
    assert "Connection refused" in capsys.readouterr().out
    assert len(server.sent) == 2
    assert server.sent[1][0] > len(whole) // 2 - transfer.CHUNK


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(server, monkeypatch):
    server.holds("owner/pneumonia", LARGE)
    server.silent.set()
    monkeypatch.setattr(transfer, "TIMEOUT", (10, 0.5))
    with pytest.raises(ConnectionError, match=r"download failed: .*Read timed out"):  # else the server would be silent until it is closed
        fetch()


def test_a_version_that_kaggle_does_not_have_names_the_one_it_has(server):
    server.holds("owner/pneumonia", PNEUMONIA, version=5)
    with pytest.raises(
        ConnectionError, match=r"^kaggle owner/pneumonia, version 2: not there \(404\); Kaggle holds version 5; set `version: 5`"
    ):
        fetch()
    assert server.asked == ["DownloadDataset", "GetDataset"]
    assert len(fetch(version=5)) == 5


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        (401, r"version 2: Kaggle answers 401; renew KAGGLE_API_TOKEN \(https://.*\), or unset it"),
        (403, r"version 2: Kaggle answers 403; open https://www\.kaggle\.com/datasets/owner/pneumonia, accept its terms"),
        (404, r"version 2: Kaggle knows no such dataset \(404\); correct `handle` in params\.yaml"),
        (400, r"version 2: download failed: HTTP 400 Bad Request"),
    ],
)
def test_a_refusal_is_one_clear_line_and_is_not_repeated(state, fault, server):
    server.states = [(state, {})] * 5
    with pytest.raises(ConnectionError, match=fault) as caught:
        fetch()
    assert "\n" not in str(caught.value)
    assert calls(server) == 1


def test_a_server_that_is_busy_for_a_moment_is_asked_again(server, capsys):
    server.holds("owner/pneumonia", PNEUMONIA)
    server.states = [(503, {}), (429, {})]
    assert len(fetch()) == 5
    assert calls(server) == 3
    assert "HTTP 503 Service Unavailable; next attempt in" in capsys.readouterr().out


def test_a_server_that_stays_busy_ends_in_one_clear_line(server):
    server.states = [(503, {})] * 3
    with pytest.raises(
        ConnectionError, match=r"^kaggle owner/pneumonia, version 2: download failed: HTTP 503 .*; run again later"
    ) as caught:
        fetch()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("asked", ["7", formatdate(time.time() + 3600 * 24 * 365 * 20)], ids=["seconds", "date"])
def test_a_server_that_says_when_to_come_back_is_obeyed_within_reason(asked, server, monkeypatch):
    server.holds("owner/pneumonia", PNEUMONIA)
    server.states = [(429, {"Retry-After": asked})]
    slept: list[float] = []
    monkeypatch.setattr(transfer, "time", types.SimpleNamespace(sleep=slept.append, time=time.time, monotonic=time.monotonic))
    if asked == "7":
        fetch()
        assert slept == [7.0]
    else:
        with pytest.raises(ConnectionError, match=r"HTTP 429 .* and asks to wait 6\d{8} s; run again later"):
            fetch()
        assert slept == []


def test_a_token_goes_to_kaggle_alone_and_is_never_told(server, monkeypatch, capsys):
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    whole = server.holds("owner/pneumonia", LARGE)
    server.states, server.cuts = [(503, {})], [len(whole) // 2]
    fetch()
    assert set(server.credentials["interface"]) == {f"Bearer {TOKEN}"}
    assert set(server.credentials["store"]) == {None}
    assert TOKEN not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "token",
    [TOKEN, TOKEN + "\nmore", TOKEN + "\N{EN DASH}", TOKEN * 20],
    ids=["refused", "with a line break", "not ASCII", "longer than a file's name"],
)
def test_no_error_tells_the_token(token, server, monkeypatch, capsys):
    monkeypatch.setenv("KAGGLE_API_TOKEN", token)
    server.states = [(403, {})]
    with pytest.raises((ConnectionError, ValueError)) as caught:
        fetch()
    told = "".join(capsys.readouterr()) + "".join(traceback.format_exception(caught.value))
    assert TOKEN not in told
    assert "KAGGLE_API_TOKEN" in told or "Kaggle credentials" in told


def test_the_signature_of_the_archives_address_is_never_told(server, monkeypatch, capsys):
    server.holds("owner/pneumonia", PNEUMONIA)
    monkeypatch.setattr(transfer, "TIMEOUT", (0.2, 0.2))
    server.silent.set()
    with pytest.raises(ConnectionError) as silent:
        fetch()
    server.silent.clear()
    server.store_states = [403]
    with pytest.raises(ConnectionError) as refused:
        fetch()
    assert "c0ffee5ignature" not in "".join(capsys.readouterr()) + str(silent.value) + str(refused.value)


def test_an_archive_that_is_refused_is_deleted_and_nothing_of_it_is_written(server):
    server.holds("owner/pneumonia", PNEUMONIA | {"../../outside.jpeg": b"x"})
    with pytest.raises(ValueError, match=r"owner\.pneumonia\.v2\.zip: entry '\.\./\.\./outside\.jpeg' leaves the folder"):
        fetch()
    assert left() == []
    assert list(Path("out").iterdir()) == []
    assert not list(Path.cwd().parent.rglob("outside.jpeg"))


def test_too_little_room_is_told_before_the_first_byte_of_the_archive(server, monkeypatch):
    server.holds("owner/pneumonia", LARGE)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=4_000_000))
    with pytest.raises(OSError, match=r"needs 3 MB to download and at least 3 MB to unpack, but work/kaggle has 4 MB free; make room"):
        fetch()
    assert left() == []


def test_a_log_gets_plain_lines_and_the_archives_hash(server, monkeypatch, capsys):
    server.holds("owner/pneumonia", LARGE)
    monkeypatch.setattr(progress, "PLAIN_EVERY", 0.0)
    fetch()
    said = capsys.readouterr()
    assert "kaggle owner/pneumonia, version 2, MiB: 1/2, " in said.err
    assert "kaggle owner/pneumonia, version 2: 2.5 MB, sha256 " in said.out
    assert "\r" not in said.err + said.out


@pytest.mark.parametrize(
    ("stem", "patient"),
    [
        ("person1000_bacteria_2931", "person1000"),
        ("person3_virus_16", "person3"),
        ("IM-0115-0001", "IM-0115"),
        ("IM-0667-0001-0002", "IM-0667"),
        ("NORMAL2-IM-0030-0001", "NORMAL2-IM-0030"),
        ("person447_virus_921_1", "person447"),
        ("1-s2.0-S0140673620303706-fx1_lrg", None),
        ("person3", None),
    ],
)
def test_the_patient_stands_in_the_name(stem, patient):
    assert kaggle.patient(stem) == patient


@pytest.mark.parametrize(
    ("article", "stems"),
    [
        ("41591_2020_819", ["41591_2020_819_Fig1_HTML.webp-day5", "41591_2020_819_Fig1_HTML.webp-day10"]),
        ("jkms-35-e79", ["jkms-35-e79-g001-l-a", "jkms-35-e79-g001-l-b", "jkms-35-e79-g001-l-c"]),
        ("kjr-21-e24", ["kjr-21-e24-g001-l-a", "kjr-21-e24-g003-l-a"]),
        ("kjr-21-e25", ["kjr-21-e25-g001-l-a"]),
        ("1-s2.0-S1684118220300682", ["1-s2.0-S1684118220300682-main.pdf-002-a1", "1-s2.0-S1684118220300682-main.pdf-003-b2"]),
        ("1-s2.0-S1684118220300608", ["1-s2.0-S1684118220300608-main.pdf-001"]),
        ("1-s2.0-S0929664620300449", ["1-s2.0-S0929664620300449-gr2_lrg-a", "1-s2.0-S0929664620300449-gr3_lrg-d"]),
        ("1-s2.0-S0140673620303706", ["1-s2.0-S0140673620303706-fx1_lrg"]),
        ("SARS-10.1148rg.242035193", ["SARS-10.1148rg.242035193-g04mr34g09a-Fig9a-day17", "SARS-10.1148rg.242035193-g04mr34g0-Fig8a-day0"]),
        (
            "streptococcus-pneumoniae-pneumonia-temporal-evolution-1",
            [f"streptococcus-pneumoniae-pneumonia-temporal-evolution-1-day{day}" for day in range(4)],
        ),
        ("acute-respiratory-distress-syndrome-ards", [f"acute-respiratory-distress-syndrome-ards{end}" for end in ("", "-1")]),
        ("all14238", ["all14238-fig-0001-m-b"]),
        ("gr1_lrg", ["gr1_lrg-a", "gr1_lrg-b"]),
        ("nejmoa2001191", ["nejmoa2001191_f1-PA", "nejmoa2001191_f3-L"]),
        ("5e6dd879fde9502400e58b2f", ["5e6dd879fde9502400e58b2f"]),
        ("sirm", ["F4341CE7-73C9-45C6-99C8-8567A5484B63", "D5ACAA93-C779-4E22-ADFA-6A220489F840"]),  # front and side view of one patient
    ],
)
def test_figures_of_one_article_are_one_group(article, stems):
    assert {kaggle.article(stem) for stem in stems} == {article}
