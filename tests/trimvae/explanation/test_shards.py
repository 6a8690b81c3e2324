"""Shards: a folder of explanations, read a part at a time."""

import json
import random

import pytest
import torch
from torch import nn

from tests.cases import convolutional_predictor
from trimvae import VAE, explain
from trimvae.explanation.sharding import explain_into
from trimvae.explanation.shards import Shards, shard_path

EXAMPLES, SIZE = 50, 12


@pytest.fixture(scope="module")
def asked():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = VAE.convolutional((1, 28, 28), 3, channels=4, hidden=8)
        return vae, convolutional_predictor(classes=3), torch.rand(EXAMPLES, 1, 28, 28)


@pytest.fixture(scope="module")
def folder(asked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    vae, predictor, inputs = asked
    labels = torch.arange(EXAMPLES) % 3
    explain_into(folder, vae, predictor, inputs, labels=labels, shard_size=SIZE, n_steps=4)
    return folder


@pytest.fixture
def shards(folder):
    return Shards.open(folder)


@pytest.fixture(scope="module")
def whole(asked):
    vae, predictor, inputs = asked
    labels = torch.arange(EXAMPLES) % 3
    return explain(vae, predictor, inputs, labels=labels, n_steps=4, check_parts=False)


def test_they_are_counted_indexed_and_run_through(shards):
    assert (len(shards), shards.examples, shards.counts) == (5, 50, (12, 12, 12, 12, 2))
    assert [len(shard.inputs) for shard in shards] == list(shards.counts)
    assert torch.equal(shards[-1].inputs, shards[4].inputs)
    assert [len(shard.inputs) for shard in shards[3:]] == [12, 2]
    assert shards.complete


def test_selected_examples_are_those_of_one_explanation_in_the_order_asked_for(shards, whole):
    numbers = [49, 0, 13, 12, 13]
    found, wanted = shards.select(numbers), whole.select(numbers)
    assert torch.equal(found.inputs, wanted.inputs)
    assert torch.equal(found.labels, wanted.labels)
    for name, tensor in wanted.tensors().items():
        torch.testing.assert_close(getattr(found, name), tensor, rtol=1e-4, atol=1e-5)
    for name, value in wanted.metrics.items():
        assert found.metrics[name] == pytest.approx(value, rel=1e-3, abs=1e-4), name
    assert found.settings["bundles"] == shards[0].settings["bundles"]


def test_a_mask_chooses_the_examples_it_marks(shards):
    mask = torch.zeros(EXAMPLES, dtype=torch.bool)
    mask[[5, 13]] = True
    for marked in (mask, mask.numpy(), mask.tolist()):
        assert torch.equal(shards.select(marked).inputs, shards.select([5, 13]).inputs)
    with pytest.raises(ValueError, match=r"must be a mask of shape \(50,\)"):
        shards.select(mask[:12])
    with pytest.raises(TypeError, match="`examples` must be whole numbers"):
        shards.select([1.5])


def test_a_sample_is_drawn_without_repetition_and_by_its_seed(shards):
    one, again, other = (shards.sample(20, seed) for seed in (0, 0, 1))
    assert torch.equal(one.inputs, again.inputs)
    assert not torch.equal(one.inputs, other.inputs)
    assert len(one.inputs.flatten(1).unique(dim=0)) == 20
    assert len(shards.sample(1000).inputs) == EXAMPLES


def test_every_example_is_as_likely_to_be_drawn(shards, whole):
    first = whole.inputs[:, 0, 0, 0]
    drawn = [shards.sample(5, seed).inputs[:, 0, 0, 0] for seed in range(40)]
    counts = torch.stack([(part == value).sum() for value in first for part in [torch.cat(drawn)]])
    assert counts.sum() == 200
    assert counts.max() <= 15  # of a mean of 4
    assert (counts[-2:] > 0).any()  # those of the small shard among them


def test_a_sample_is_drawn_reported_and_asked_as_any_explanation(asked, folder, tmp_path):
    vae, predictor, _ = asked
    sample = Shards.open(folder, code=vae, predictor=predictor).sample(4)
    assert sample.traverse(0, 1).inputs.shape == (9, 1, 28, 28)
    assert sample.plot_traversals(0).axes
    page = sample.to_html(tmp_path / "report.html", max_examples=1, n_latents=1, frames=2)
    assert page.stat().st_size > 10_000


def test_without_code_and_predictor_nothing_is_asked(shards):
    with pytest.raises(RuntimeError, match="must have code and predictor"):
        shards.sample(2).traverse(0, 0)
    with pytest.raises(RuntimeError, match="must have code and predictor"):
        shards[0].traverse(0, 0)


def test_sums_and_summary_are_those_of_all_examples(shards, whole):
    torch.testing.assert_close(shards.sums.shares.float(), whole.shares, rtol=1e-3, atol=1e-4)
    figures = shards.sums.figures
    assert figures["agreement"].value == pytest.approx(whole.metrics["agreement"])
    low, high = figures["agreement"].interval
    assert 0 <= low <= whole.metrics["agreement"] <= high <= 1
    text = shards.summary()
    assert text.startswith("50 examples, 3 latents, 5 shards\n")
    assert f"({low:.4g} to {high:.4g})" in text


def test_the_heatmap_is_that_of_all_examples(shards, whole):
    drawn, wanted = (each.plot().axes[0].images[0].get_array() for each in (shards, whole))
    torch.testing.assert_close(
        torch.as_tensor(drawn), torch.as_tensor(wanted), rtol=1e-3, atol=1e-4, check_dtype=False
    )
    assert "50 examples" in shards.plot().axes[0].get_title(loc="left")


@pytest.mark.parametrize("numbers", [[], [50], [-1]])
def test_examples_that_there_are_not_are_refused(shards, numbers):
    with pytest.raises(ValueError, match=r"`examples` must be numbers from 0 to 49\. Got"):
        shards.select(numbers)


def test_a_folder_without_shards_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`folder` must hold shards\. Got .*Name the"):
        Shards.open(tmp_path)


def copied(folder, target):
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_an_interrupted_run_is_opened_only_where_that_is_said(folder, tmp_path):
    left = copied(folder, tmp_path / "left")
    shard_path(left, 1).unlink()
    with pytest.raises(ValueError, match=r"with 4 shards of 5\. Call explain_into as before"):
        Shards.open(left)
    shards = Shards.open(left, partial=True)
    assert (len(shards), shards.examples, shards.complete) == (4, 38, False)
    assert torch.equal(shards.select([12]).inputs, shards[1].inputs[:1])
    assert "the run is not finished" in shards.summary()
    (left / "end.json").unlink()
    with pytest.raises(ValueError, match="4 shards of an unknown number"):
        Shards.open(left)


def test_a_damaged_shard_is_named_when_it_is_read(folder, tmp_path):
    left = copied(folder, tmp_path / "left")
    broken = shard_path(left, 2)
    content = bytearray(broken.read_bytes())
    content[-random.Random(0).randrange(1, 1000)] ^= 1
    broken.write_bytes(content)
    with pytest.raises(ValueError, match=r"shard-000002.*differs from its checksum"):
        list(Shards.open(left))
    broken.write_bytes(content[:200])
    with pytest.raises(ValueError, match="shard-000002.*truncated"):
        Shards.open(left).select([0, 30])


def test_a_shard_of_other_shapes_is_refused_row_by_row(folder, tmp_path):
    left = copied(folder, tmp_path / "left")
    other = explain(VAE.dense((6,), 2), nn.Linear(6, 3), torch.randn(12, 6), check_parts=False)
    other.save(shard_path(left, 0))
    (left / "end.json").write_text(json.dumps({"examples": 50}))
    with pytest.raises(ValueError, match="`folder` must hold shards of one code and predictor"):
        Shards.open(left).select([0, 30])
