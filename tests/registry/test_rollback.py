"""The way back to former champions, and weights that a person took back."""

import shutil
from pathlib import Path

import pytest

from xraydenoise.registry import champion, runs, store
from xraydenoise.registry.rollback import rollback, vetoed

NAME = "xraydenoise"


def promoted(opened: store.Store, project, *seeds: int) -> None:
    """Models with other weights, champions one after the other."""
    for seed in seeds:
        project.train(seed)
        project.register(opened)


def tags(opened: store.Store, version: str) -> dict[str, str]:
    return opened.client.get_model_version(NAME, version).tags


def standing(opened: store.Store) -> str:
    return champion.current(opened, NAME).version


def test_a_rollback_puts_the_previous_champion_back_and_both_tell_of_it(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1)
        done = rollback(opened, NAME, "blurs ribs")
        assert standing(opened) == "1"
        assert (done["from"], done["to"], done["reason"]) == ("2", "1", "blurs ribs")
        left, back = tags(opened, "2"), tags(opened, "1")
        assert (left["rolled_back_to"], left["rolled_back_because"]) == ("1", "blurs ribs")
        assert (back["restored_from"], back["restored_because"]) == ("2", "blurs ribs")
        assert left["rolled_back_at"] == back["restored_at"] == done["at"]


def test_a_second_rollback_goes_further_back_and_a_third_finds_nothing(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1, 2)
        rollback(opened, NAME, "one")
        rollback(opened, NAME, "two")
        assert standing(opened) == "1"
        with pytest.raises(ValueError, match=r"version 1 \(dncnn\) cannot be rolled back: no version was champion before it"):
            rollback(opened, NAME, "three")
        assert standing(opened) == "1"


def test_a_restored_version_is_challenger_no_more_and_its_description_says_why_it_is_champion(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1)
        project.train(0)
        project.register(opened, project.verdict("challenger"))
        done = rollback(opened, NAME, "blurs ribs")
        assert set(opened.client.get_registered_model(NAME).aliases) == {"champion"}
        told = opened.client.get_model_version(NAME, "1").description
        assert told.startswith(f"Restored at {done['at']} because version 2 was rolled back: blurs ribs\n\ndncnn is challenger.")


def test_weights_that_were_rolled_back_do_not_come_back_by_another_rollback(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1, 0)  # versions 1, 2, and 1 again
        first = runs.identity(project.methods[0].folder)
        assert rollback(opened, NAME, "loses nodules")["to"] == "2"
        with pytest.raises(ValueError, match=r"no version was champion before it$"):
            rollback(opened, NAME, "blurs ribs")
        assert standing(opened) == "2"
        opened.client.set_model_version_tag(NAME, "2", "previous", "1")
        with pytest.raises(ValueError, match=r"no version was champion before it that was not rolled back$"):
            rollback(opened, NAME, "blurs ribs")
        assert not vetoed(opened, NAME, first, project.verdict()).promoted


def test_a_champion_that_comes_back_by_the_gate_is_not_its_own_way_back(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1, 2, 0)
        assert tags(opened, "1")["previous"] == "3,2"
        promoted(opened, project, 1)
        assert tags(opened, "2")["previous"] == "1,3"


def test_a_champion_whose_alias_a_person_took_away_is_still_the_way_back(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1)
        opened.client.delete_registered_model_alias(NAME, "champion")  # as the gate advises where it cannot compare
        promoted(opened, project, 2)
        assert tags(opened, "3")["previous"] == "2,1"
        rollback(opened, NAME, "bad")
        opened.client.delete_registered_model_alias(NAME, "champion")
        promoted(opened, project, 1)  # the last champion once more
        assert tags(opened, "2")["previous"] == "1"
        rollback(opened, NAME, "bad")
        opened.client.delete_registered_model_alias(NAME, "champion")
        promoted(opened, project, 3)
        assert tags(opened, "4")["previous"] == "1"  # the others were rolled back


def test_a_former_champion_without_files_is_passed_over(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1, 2)
        model = opened.client.get_model_version(NAME, "2").source.removeprefix("models:/")
        shutil.rmtree(Path("mlruns/artifacts/models", model))
        assert rollback(opened, NAME, "bad")["to"] == "1"


def copied(opened: store.Store, version: str) -> str:
    """A version copied to another registered model and back, as teams do that have a model a stage; the number of the copy."""
    opened.client.create_registered_model("candidates")
    opened.client.copy_model_version(f"models:/{NAME}/{version}", "candidates")
    return str(opened.client.copy_model_version("models:/candidates/1", NAME).version)


def test_versions_that_were_copied_or_made_by_hand_stand_in_no_rollbacks_way(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1)
        copied(opened, "1")
        opened.client.create_model_version(NAME, "file:///nowhere/model")
        assert rollback(opened, NAME, "bad")["to"] == "1"


def test_a_former_champion_that_lost_the_tags_of_this_project_is_passed_over(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1, 2)
        opened.client.delete_model_version_tag(NAME, "2", "track")
        assert rollback(opened, NAME, "bad")["to"] == "1"


def test_a_former_champion_whose_files_are_damaged_is_passed_over(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1, 2)
        model = opened.client.get_model_version(NAME, "2").source.removeprefix("models:/")
        (weights,) = Path("mlruns/artifacts/models", model).rglob("weights.safetensors")
        weights.write_bytes(weights.read_bytes()[:-1] + b"?")
        assert rollback(opened, NAME, "bad")["to"] == "1"


def test_a_former_champion_that_was_copied_is_restored(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1)
        copy = copied(opened, "1")
        opened.client.set_registered_model_alias(NAME, "champion", copy)
        promoted(opened, project, 2)
        assert rollback(opened, NAME, "bad")["to"] == copy


def test_where_the_files_of_all_former_champions_are_gone_nothing_changes(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1)
        opened.client.delete_model_version(NAME, "1")
        with pytest.raises(ValueError, match=r"the files of those before it \(versions 1\) are gone or damaged"):
            rollback(opened, NAME, "bad")
        assert standing(opened) == "2"


@pytest.mark.parametrize(("registered", "reason", "said"), [(False, "bad", "has no champion"), (True, " ", "needs a reason")])
def test_a_rollback_without_champion_or_reason_is_refused(project, registered, reason, said):
    with store.opened("x") as opened:
        if registered:
            promoted(opened, project, 0)
        with pytest.raises(ValueError, match=said):
            rollback(opened, NAME, reason)


def test_weights_that_were_rolled_back_are_not_promoted_again_until_a_person_allows_it(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1)
        digest = runs.identity(project.methods[0].folder)
        assert vetoed(opened, NAME, digest, project.verdict()).promoted
        rollback(opened, NAME, "blurs ribs")
        found = vetoed(opened, NAME, digest, project.verdict())
        assert (found.promoted, found.alias) == (False, "challenger")
        way_out = (
            "take the tag rolled_back_at from version 2 in MLflow's pages, then `dvc repro -fs register`, to let it be promoted again."
        )
        assert found.reasons[0].endswith(f"(blurs ribs); {way_out}")
        project.register(opened, found)
        assert standing(opened) == "1"
        opened.client.delete_model_version_tag(NAME, "2", "rolled_back_at")
        assert vetoed(opened, NAME, digest, project.verdict()).promoted


def test_a_version_that_a_person_let_be_promoted_again_is_also_restored_again(project):
    with store.opened("x") as opened:
        promoted(opened, project, 0, 1)
        second = runs.identity(project.methods[0].folder)
        rollback(opened, NAME, "bad")
        opened.client.delete_model_version_tag(NAME, "2", "rolled_back_at")
        project.register(opened)
        promoted(opened, project, 2)
        rollback(opened, NAME, "worse")
        assert standing(opened) == "2"
        assert vetoed(opened, NAME, second, project.verdict()).promoted
