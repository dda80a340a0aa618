"""The model card says what a clinic has to know, from what the pipeline found."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from xraydenoise import contracts
from xraydenoise.registry import runs
from xraydenoise.registry.model_card import model_card

HOSTILE = "<script>x</script>\n\n# x\n| a | ![p](http://x.invalid/p.png) [l](http://x.invalid) *e* ~~s~~ \\"


def card(project, *verdict: str) -> str:
    ranking = contracts.read(Path("artifacts/compare/ranking.parquet"), contracts.Ranking)
    data = json.loads(Path("artifacts/ingest/card.json").read_text())
    return model_card("denoiser", project.methods[0], ranking, project.verdict(*verdict), data, "0123")


def test_the_card_has_data_licences_recipe_scores_with_intervals_audits_limits_and_the_warning(project):
    text = card(project)
    assert "**Not for diagnostic use.**" in text
    assert "| chests | 12 | 9 | CC0 | a hospital |" in text
    assert "| gaussian_10 | 30.00 | +2.00 [+1.50, +2.50] | 0.8000 | +0.0100 [+0.0000, +0.0200] |" in text
    assert text.index("| gaussian_10 |") < text.index("| all |")
    assert "| added_detail | 0.01 | 0.03 | passed |" in text
    assert "| gain |" not in text
    assert "- Few patients." in text
    assert "| model.network.kind | dncnn |" in text
    assert "Means over 2 pictures of 2 patients, test set `0123`; gains over the median filter with their interval by picture" in text
    assert runs.identity(project.methods[0].folder) in text
    assert "models:/denoiser@champion" in text
    assert "`models:/denoiser@champion` denoises plain radiographs and is compared with the champion of that track alone" in text
    assert "By default\n(`gate.tracks: [noise]`) only the best model of track `noise` may become champion" in text


def test_text_from_outside_is_no_markup_in_the_card(project):
    kinds = ("html_inline", "html_block", "link_open", "image", "em_open", "s_open", "heading_open", "tr_open")

    def counted(dataset: str) -> list[int]:
        told = json.loads(Path("artifacts/ingest/card.json").read_text())
        told["datasets"] = {dataset: told["datasets"]["chests"] | {"licences": [dataset, "b"], "origin": [dataset]}}
        ranking = contracts.read(Path("artifacts/compare/ranking.parquet"), contracts.Ranking)
        verdict = replace(project.verdict(), warnings=(dataset,))
        tokens = (
            MarkdownIt("commonmark")
            .enable(["table", "strikethrough"])
            .parse(model_card("denoiser", project.methods[0], ranking, verdict, told, "0123"))
        )
        found = [token.type for token in tokens] + [child.type for token in tokens for child in token.children or []]
        return [found.count(kind) for kind in kinds]

    assert counted(HOSTILE) == counted("harmless")


def test_the_card_tells_which_weights_it_begins_from_and_whether_anything_here_taught_it(project):
    method = project.methods[0]
    for start, steps, said in (
        (None, 30, "`c0ffee`. It learnt from the training patients"),
        ("best", 30, "weights `best`, which learnt from 440 chest X-rays of NIH ChestX-ray14 (NIH Clinical Center; "),
        ("best", 0, "xraydenoise/weights/best.md), and is scored on test as it is: nothing here taught it."),
        ("models:/a@b", 30, "It begins from the weights `models:/a@b`. It learnt from the training patients"),
    ):
        project.methods = [replace(method, params={**method.params, "model": {"start": start, "steps": steps, "network": {}}})]
        assert said in card(project)


def test_intervals_of_many_patients_are_by_patient(project):
    path = Path("artifacts/compare/ranking.parquet")
    pd.read_parquet(path).assign(patients=5).to_parquet(path)
    assert "Means over 2 pictures of 5 patients, test set `0123`; gains over the median filter with their interval by patient" in card(
        project
    )


def test_the_card_is_the_same_whether_it_was_promoted_or_not(project):
    assert card(project, "champion") == card(project, "challenger")


def test_a_model_without_a_test_score_has_no_card(project):
    path = Path("artifacts/compare/ranking.parquet")
    ranking = pd.read_parquet(path)
    ranking[ranking["split"] == "val"].to_parquet(path)
    with pytest.raises(ValueError, match="dncnn: was not scored on test of track noise"):
        card(project)
