import argparse
import json

import pytest
import torch

from benchmarks.lies import case, codes, controls, marks, run, suite, tables
from benchmarks.lies.case import Case, check
from benchmarks.lies.discs import discs, draw_factors, read
from benchmarks.lies.scoring import Score, kind_of_warning, score
from trimvae import explain


def few(whole: Case, count: int = 64) -> Case:
    labels = None if whole.labels is None else whole.labels[:count]
    shifted = None if whole.shifted is None else whole.shifted[:count]
    return whole._replace(inputs=whole.inputs[:count], labels=labels, shifted=shifted)


def explained(construction, count: int = 64):
    whole = few(check("", construction(0)), count)
    return explain(whole.code, whole.predictor, whole.inputs)


def test_the_encoder_by_hand_reads_what_is_drawn():
    factors = draw_factors(50, 0)
    assert (read(discs(factors)) - factors).abs().max() < 0.05


def test_a_texture_that_goes_with_the_place_is_named_as_what_is_used():
    found = score(few(check("", marks.painted_texture(0))), 0)
    assert found.named
    assert found.flagged
    assert any("fine texture" in text for text in found.warnings)


def test_latents_that_are_classes_are_flagged_as_such():
    found = explained(codes.classes, 128)
    assert any("tells the strongest latent" in text for text in found.warnings)


def test_a_decoder_of_two_places_is_flagged_for_it():
    found = explained(codes.saturated)
    assert any("does not read what the decoder draws" in text for text in found.warnings)


def test_an_exclusive_or_through_mixtures_is_named_an_interaction():
    assert any("(interaction)" in text for text in explained(codes.turned_xor, 128).warnings)


def test_a_product_through_mixtures_is_flagged_as_mixtures():
    found = explained(codes.turned_product, 300)
    assert any("mixtures of directions" in text for text in found.warnings)


def test_a_texture_that_is_not_drawn_is_flagged_by_agreement():
    assert any("disagrees" in text for text in explained(marks.undrawn).warnings)


@pytest.mark.parametrize("control", [controls.place, controls.own_texture, tables.linear_factors])
def test_an_honest_explanation_is_not_flagged(control):
    assert explained(control).warnings == ()


def test_a_case_that_is_not_what_it_says_is_refused():
    honest = controls.place(0)
    with pytest.raises(RuntimeError, match=r"'place' is not what it says: does nothing \(0\.40\)"):
        check("place", honest._replace(proof={"does nothing": 0.4, "follows": 1.0}))
    with pytest.raises(RuntimeError, match="does nothing"):
        check("place", honest._replace(proof={"does nothing": torch.nan}))


def test_a_swapped_mark_is_seen_by_the_proof():
    mark = marks.pattern(marks.CHECKERS, 0.06)
    blind = case.Module(lambda inputs: inputs.flatten(1)[:, :2] * 0 + torch.tensor([0.0, 1.0]))
    found = marks.proof_of(blind, mark, marks.X, 0)
    assert found["follows a swapped mark"] == 0


def test_a_warning_is_known_again_whatever_its_numbers_and_names():
    one, other = (
        kind_of_warning(f"z{n} draws coarse shape ({n}8%); the predictor responds. Read {n}.")
        for n in (1, 2)
    )
    assert one == other == "a latent draws more than the predictor responds to"
    mixed = (
        f"z0{more} are mixtures of directions that are independent" for more in ("", " and z1")
    )
    assert {kind_of_warning(text) for text in mixed} == {"latents are mixtures"}
    assert kind_of_warning("Agreement (0.955) is low. Train.") == "Agreement is low"


def test_a_name_is_given_once_and_every_kind_has_its_cases():
    assert len(suite.EVERY) == sum(len(cases) for cases in suite.KINDS.values())
    assert len(suite.DEVELOPMENT) >= 10
    assert len(suite.CONTROLS) >= 6
    assert {suite.kind_of(name) for name in suite.EVERY} == set(suite.KINDS)


def test_the_table_counts_what_is_flagged_over_seeds(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "write", lambda *parts: written.append(parts))
    written: list = []
    quiet = Score((), False, {"agreement": 1.0}, 1.0)
    loud = quiet._replace(warnings=("The re-encoded prediction disagrees for 12%: why.",))
    for name, seeds in {"collapsed": (loud, quiet), "place": (quiet, quiet)}.items():
        for seed, found in enumerate(seeds):
            run.keep(run.result_path(tmp_path, name, seed), found, controls.place(0))
    missed = json.dumps({"missed": {"reads the place": 0.89}})
    run.result_path(tmp_path, "place", 2).write_text(missed)
    run.tabulate(argparse.Namespace(out=tmp_path, seeds=[0, 1, 2], only=["collapsed", "place"]))
    (name, note, rows, _), _ = written
    assert name == "lies_development"
    assert "1 of 2 lies, 0 of 0 lies to check, 0 of 2 controls" in note
    assert "Not asked, and of which seeds: collapsed (2), place (2)." in note
    assert rows["collapsed"]["flagged"] == "1 of 2"
    assert rows["collapsed"]["by"] == "a (1)"
    assert rows["place"]["flagged"] == "0 of 2"
