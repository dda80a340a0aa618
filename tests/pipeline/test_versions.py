import shutil

import pytest

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
    from dvc.repo import Repo

    images = toy / "inbox" / "images"
    images.mkdir(parents=True)
    (images / "hand.png").write_bytes(b"pixels")
    versions.keep_inbox()
    shutil.rmtree(images)
    with Repo() as repo:
        repo.checkout(targets=["inbox/images.dvc"])
    assert (images / "hand.png").read_bytes() == b"pixels"


def test_a_recorded_image_that_is_not_there_is_named_with_the_way_back(toy):
    images = toy / "inbox" / "images"
    images.mkdir(parents=True)
    for name in ("hand.png", "foot.png"):
        (images / name).write_bytes(name.encode())
    versions.keep_inbox()
    (images / "foot.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 recorded images, first 'foot.png', are not there; .*dvc checkout"):
        versions.keep_inbox()


def test_a_clone_that_has_pulled_nothing_is_told_to_pull(toy):
    images = toy / "inbox" / "images"
    images.mkdir(parents=True)
    (images / "hand.png").write_bytes(b"pixels")
    versions.keep_inbox()
    shutil.rmtree(images)
    shutil.rmtree(toy / ".dvc" / "cache")
    with pytest.raises(FileNotFoundError, match=r"the 1 recorded images are not there; `dvc pull"):
        versions.keep_inbox()
