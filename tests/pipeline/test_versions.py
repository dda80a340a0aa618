import shutil

import pytest
from dvc.repo import Repo

from pipeline import versions


def test_images_that_people_bring_become_a_dvc_output_of_their_own(toy, capsys):
    images = toy / "inbox" / "images"
    images.mkdir(parents=True)
    versions.keep_inbox()
    assert not (toy / "inbox" / "images.dvc").exists()  # nothing was brought yet
    (images / "hand.png").write_bytes(b"pixels")
    versions.keep_inbox()
    assert "versioned by DVC" in capsys.readouterr().out
    assert "nfiles: 1" in (toy / "inbox" / "images.dvc").read_text()
    versions.keep_inbox()
    assert capsys.readouterr().out == ""  # nothing changed
    (images / "foot.png").write_bytes(b"other pixels")
    versions.keep_inbox()
    assert "nfiles: 2" in (toy / "inbox" / "images.dvc").read_text()


def test_a_clone_with_the_cache_gets_the_images_back(toy):
    images = toy / "inbox" / "images"
    images.mkdir(parents=True)
    (images / "hand.png").write_bytes(b"pixels")
    versions.keep_inbox()
    shutil.rmtree(images)
    with Repo() as repo:
        repo.checkout(targets=["inbox/images.dvc"])
    assert (images / "hand.png").read_bytes() == b"pixels"


@pytest.fixture
def two(toy):
    """The images of a project, two of which DVC has recorded."""
    images = toy / "inbox" / "images"
    images.mkdir(parents=True)
    for name in ("hand.png", "foot.png"):
        (images / name).write_bytes(name.encode())
    versions.keep_inbox()
    return images


def test_a_recorded_image_that_the_cache_holds_is_brought_back_by_a_checkout(two):
    (two / "foot.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 recorded images, first 'foot.png', are not there; `dvc checkout \S+` brings") as caught:
        versions.keep_inbox()
    assert "pull" not in str(caught.value)


def test_a_clone_that_has_pulled_nothing_is_sent_to_its_remote(two, tmp_path):
    with Repo() as repo, repo.config.edit("local") as config:
        config["remote"] = {"hospital": {"url": str(tmp_path / "remote")}}
        config["core"] = {"remote": "hospital"}
    shutil.rmtree(two)
    shutil.rmtree(two.parents[1] / ".dvc" / "cache")
    with pytest.raises(FileNotFoundError, match=r"the 2 recorded images are not there; `dvc pull inbox/images.dvc` fetches") as caught:
        versions.keep_inbox()
    assert "checkout" not in str(caught.value)


def test_images_that_neither_cache_nor_remote_has_are_said_to_be_nowhere(two):
    shutil.rmtree(two)
    shutil.rmtree(two.parents[1] / ".dvc" / "cache")
    with pytest.raises(FileNotFoundError, match=r"DVC's cache does not hold them and no remote is set"):
        versions.keep_inbox()


def test_a_name_that_a_disk_keeps_in_another_form_of_unicode_is_not_lost(toy):
    images = toy / "inbox" / "images"
    images.mkdir(parents=True)
    (images / "Ro\u0308ntgen.png").write_bytes(b"pixels")
    versions.keep_inbox()
    (images / "Ro\u0308ntgen.png").rename(images / "R\u00f6ntgen.png")
    versions.keep_inbox()


def test_what_stands_in_the_place_of_a_link_into_the_cache_is_noticed(toy):
    with Repo() as repo, repo.config.edit("local") as config:
        config["cache"] = {"type": "symlink"}
    images = toy / "inbox" / "images"
    images.mkdir(parents=True)
    (images / "hand.png").write_bytes(b"pixels")
    versions.keep_inbox()
    assert (images / "hand.png").is_symlink()
    before = (toy / "inbox" / "images.dvc").read_text()
    (images / "hand.png").unlink()
    (images / "hand.png").write_bytes(b"other pixels")
    versions.keep_inbox()
    assert (toy / "inbox" / "images.dvc").read_text() != before
