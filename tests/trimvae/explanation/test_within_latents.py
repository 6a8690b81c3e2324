"""What inside a latent is used: exact sums, a lie that is named, honest ones that are not."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from attributions import Contrast
from attributions.measures.bundles import caused_shares, drawn_shares
from attributions.methods import saliency
from attributions.transforms import Bands, Cosine, Identity, NonNegativeParts, PrincipalComponents
from tests.trimvae.explanation.made import image_explanation, table_explanation
from tests.trimvae.explanation.textured import (
    SIZE,
    Discs,
    position_reader,
    texture_reader,
    textured_explanation,
)
from trimvae import Explanation, explain
from trimvae.explanation.within_latents import bundles_of


@pytest.fixture(scope="module")
def lie():
    return textured_explanation(texture_reader())


@pytest.fixture(scope="module")
def honest():
    return textured_explanation(position_reader())


@pytest.fixture(scope="module")
def table():
    return table_explanation(feature_names=list("abcdef"))


def sums_to(explanation, found):
    torch.testing.assert_close(
        found.attributions.sum(dim=2),
        explanation.attributions[:, :, found.latent],
        atol=1e-5,
        rtol=1e-5,
    )


@pytest.mark.parametrize("n_steps", [None, 7])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("transform", ["columns", Identity((6,))])
def test_parts_add_up_to_the_attributions_whatever_the_rule(n_steps, residual, transform):
    explanation = table_explanation(n_steps=n_steps, residual=residual)
    found = explanation.within(1, transform)
    assert found.attributions.shape == (12, 4, 6)
    sums_to(explanation, found)


def test_parts_of_pictures_add_up_too(lie):
    assert len(lie.path_points.unique()) > 1
    for transform in ("bands", "channels", "pixels", {"left": torch.arange(SIZE) < 14}):
        sums_to(lie, lie.within(0, transform))


def test_they_add_up_in_the_callers_double_precision():
    code, predictor = Discs().double(), texture_reader().double()
    inputs = code.decode(torch.randn(6, 3).double().clamp(-2, 2))
    explanation = explain(code, predictor, inputs)
    found = explanation.within(0)
    torch.testing.assert_close(
        found.attributions.sum(dim=2), explanation.attributions[:, :, 0], atol=1e-10, rtol=0
    )


def test_chosen_examples_are_split_like_all(lie):
    few, every = lie.select([3, 11]).within(0), lie.within(0)
    torch.testing.assert_close(few.attributions, every.attributions[[3, 11]], atol=1e-5, rtol=1e-4)


def test_a_contrast_and_a_regression_have_one_class():
    contrast = table_explanation(explained=Contrast(0, 1)).within(0, "columns")
    assert contrast.attributions.shape == (12, 1, 6)
    regression = table_explanation(outputs=1)
    sums_to(regression, regression.within(2, "columns"))


def test_the_texture_is_named_by_explaining(lie):
    strongest = lie.bundles[0]
    assert strongest.latent == 0
    assert strongest.names[3] == "fine texture"
    assert strongest.caused[3] > 0.95
    assert strongest.drawn[3] < 0.15
    (said,) = [text for text in lie.warnings if "draws" in text]
    assert said.startswith("z0 draws coarse shape (")
    assert "; the predictor responds to its fine texture (" in said
    assert said.endswith("Read the evidence of z0 as evidence of that part alone, whatever else it "
                         "draws.")  # fmt: skip
    assert said in lie.summary()


def test_an_honest_reader_of_the_same_pictures_is_not_warned_of(honest):
    strongest = honest.bundles[0]
    assert strongest.latent == 0
    assert strongest.caused[1] > 0.9
    assert not any(bundle.is_small for bundle in honest.bundles)
    assert not any("draws" in text for text in honest.warnings)


def test_asked_for_a_latent_the_same_is_said(lie):
    found = lie.within(0)
    assert found.name == "z0"
    assert found.names == ("overall brightness", "coarse shape", "detail", "fine texture")
    assert found.used.argmax() == found.caused.argmax() == 3
    assert found.drawn.argmax() == 1
    for shares in (found.drawn, found.used, found.caused):
        assert float(shares.sum()) == pytest.approx(1, abs=1e-5)
    assert "responds to its fine texture" in found.sentence


def test_shares_are_of_a_move_through_the_data(lie):
    """From the 5th to the 95th percentile of the latent, at every example."""
    ends = lie.latents[:, 0].quantile(torch.tensor([0.05, 0.95]))
    moved = [lie.latents.clone(), lie.latents.clone()]
    for points, end in zip(moved, ends, strict=True):
        points[:, 0] = end
    before, after = (Discs().decode(points) for points in moved)
    found, bands = lie.within(0), Bands((1, SIZE, SIZE))
    torch.testing.assert_close(found.drawn, drawn_shares(before, after, bands))
    expected = caused_shares(lie.trim.of_inputs, before, after, bands)
    torch.testing.assert_close(found.caused, expected, atol=1e-4, rtol=1e-4)


def test_one_example_moves_from_its_baseline(lie):
    found = lie.select([5]).within(0)
    assert bool(found.caused.isfinite().all())


def test_more_parts_than_can_be_asked_have_no_cause_but_a_sentence(lie):
    found = lie.within(0, "pixels")
    assert found.caused is None
    assert found.sentence.startswith("Of 784 parts, ")
    assert " hold 90% of what z0 draws, and " in found.sentence


def test_columns_have_their_names_and_masks_theirs(table):
    assert table.within(0, "columns").names == tuple("abcdef")
    masked = table.within(0, {"first": torch.arange(6) < 2, "last": torch.arange(6) == 5})
    assert masked.names == ("first", "last", "rest")
    by_column = table.within(0, "columns").attributions
    torch.testing.assert_close(masked.attributions[..., 0], by_column[..., :2].sum(dim=2))


class Tagged(Discs):
    """Paints a faint square in the upper left corner of what is on the right."""

    def decode(self, latents):
        tag = torch.zeros(28, 28)
        tag[1:5, 1:5] = 0.1
        return super().decode(latents) + (10 * latents[:, :1, None, None]).sigmoid() * tag


def reads_the_corner(inputs):
    said = 60 * (inputs[:, 0, 1:5, 1:5].mean(dim=(1, 2)) - 0.25)
    return torch.stack([-said, said], dim=1)


def test_a_corner_that_alone_is_read_is_named():
    code = Tagged(amplitude=0.0)
    latents = torch.randn(64, 3, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
    explanation = explain(code, reads_the_corner, code.decode(latents))
    (text,) = [text for text in explanation.warnings if "corner" in text]
    assert "the predictor responds to its top left corner (100%), which is" in text
    honest = explain(code, position_reader(), code.decode(latents))
    assert not any(bundle.is_small for bundle in honest.bundles)


def test_a_latent_whose_ends_mean_the_same_is_asked_from_its_middle():
    """Is the disc far from the middle? From end to end nothing that is read changes."""
    code = Discs(amplitude=0.0)
    latents = torch.randn(64, 3, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)

    def is_outside(inputs):
        ink = inputs[:, 0].sum(dim=1) - inputs[:, 0].sum(dim=1).amin(dim=1, keepdim=True)
        outside = (ink * torch.linspace(-1, 1, SIZE).square()).sum(dim=1) / ink.sum(dim=1)
        return 30 * torch.stack([outside - 0.15, 0.15 - outside], dim=1)

    explanation = explain(code, is_outside, code.decode(latents))
    (places,) = [bundle for bundle in explanation.bundles if len(bundle.names) == 16][:1]
    assert explanation.latent_names[places.latent] == "z0"
    assert places.excess < 0.3
    assert not any(bundle.is_small for bundle in explanation.bundles)


def test_a_column_that_alone_is_read_is_named():
    paint = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    paint[:, 7] = paint[:, 7].sign() * 0.8

    class Mixture(nn.Module):
        def encode(self, inputs):
            return inputs @ torch.linalg.pinv(paint)

        def decode(self, latents):
            return latents @ paint

    inputs = torch.randn(60, 3, generator=torch.Generator().manual_seed(1)) @ paint
    leaked = explain(Mixture(), lambda rows: torch.stack([rows[:, 7], -rows[:, 7]], 1), inputs)
    small = [bundle for bundle in leaked.bundles if bundle.is_small]
    assert small
    assert all(bundle.favoured == (7,) for bundle in small)
    assert any("responds to its x7 (100%)" in text for text in leaked.warnings)
    weight = torch.linalg.pinv(paint)[:, :1]
    honest = explain(Mixture(), lambda rows: rows @ torch.cat([weight, -weight], 1), inputs)
    assert not any(bundle.is_small for bundle in honest.bundles)


def test_parts_are_checked_only_where_it_is_asked_for(table):
    assert {bundle.names for bundle in table.bundles} == {tuple("abcdef")}
    assert table_explanation(check_parts=False).bundles == ()
    assert not textured_explanation(texture_reader(), batch=4, check_parts=False).bundles
    coloured = image_explanation(channels=3)
    names = {bundle.names for bundle in coloured.bundles}
    assert ("red", "green", "blue") in names
    assert any("top left corner" in each for each in names)
    assert all(coloured.shares[bundle.latent] >= 0.1 for bundle in coloured.bundles)


def test_a_basis_that_is_known_beforehand_draws_no_bundles():
    """A cosine is everywhere; where the predictor looks is no secret part of it."""
    inputs = Tagged(amplitude=0.0).decode(torch.randn(40, 3))
    explanation = explain(Cosine((1, SIZE, SIZE), dims=2), reads_the_corner, inputs)
    assert explanation.fixed_code
    assert explanation.bundles == ()
    fitted = explain(PrincipalComponents(inputs, 3), reads_the_corner, inputs, residual=True)
    assert not fitted.fixed_code
    assert fitted.bundles


def test_a_predictor_that_says_nothing_is_not_judged():
    silent = nn.Sequential(nn.Flatten(), nn.Linear(SIZE * SIZE, 2))
    nn.init.zeros_(silent[1].weight)
    explanation = textured_explanation(silent, batch=4)
    assert explanation.bundles == ()
    assert bundles_of(replace(explanation), explanation.trim) == []


def test_what_was_found_survives_the_file_and_earlier_files_have_none(tmp_path, lie):
    lie.save(tmp_path / "saved")
    loaded = Explanation.load(tmp_path / "saved")
    assert loaded.bundles == lie.bundles
    assert loaded.warnings == lie.warnings
    assert torch.equal(loaded.path_points, lie.path_points)
    with pytest.raises(RuntimeError, match="`within` must have code and predictor"):
        loaded.within(0)
    before = {name: value for name, value in lie.settings.items() if name != "bundles"}
    assert replace(lie, settings=before).bundles == ()


def test_names_given_later_are_those_of_the_warning(lie):
    renamed = lie.rename(latents=["place", "height", "size"])
    assert any(text.startswith("place draws coarse shape") for text in renamed.warnings)
    assert renamed.within(0).name == "place"


def test_what_cannot_be_split_is_refused_and_said_why(lie, table):
    with pytest.raises(ValueError, match="`latent` must be from 0 to 2. Got 3"):
        table.within(3, "columns")
    with pytest.raises(ValueError, match=r"fit inputs of shape \(6,\). Got 'bands'. Use 'columns'"):
        table.within(0)
    with pytest.raises(ValueError, match=r"\(1, 28, 28\). Got 'columns'. Use 'bands', 'channels'"):
        lie.within(0, "columns")
    with pytest.raises(ValueError, match="Got 'wavelets'"):
        table.within(0, "wavelets")
    inputs = table.inputs.abs()
    with pytest.raises(ValueError, match="`transform` must be linear. Got NonNegativeParts"):
        table.within(0, NonNegativeParts(inputs, 3))
    with pytest.raises(ValueError, match="must give back every input. Got PrincipalComponents"):
        table.within(0, PrincipalComponents(inputs, 3))
    with pytest.raises(ValueError, match=r"made for inputs of shape \(6,\). Got one for \(5,\)"):
        table.within(0, Identity((5,)))
    with pytest.raises(TypeError, match="`transform` must be one of attributions.transforms"):
        table.within(0, nn.Flatten())
    with pytest.raises(ValueError, match="`masks` must not overlap"):
        table.within(0, {"a": torch.ones(6), "b": torch.ones(6)})
    other = table_explanation(method=saliency)
    with pytest.raises(ValueError, match="must split integrated gradients.* Got .* saliency"):
        other.within(0, "columns")
