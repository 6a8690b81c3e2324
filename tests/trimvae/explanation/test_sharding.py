"""explain_into(): what is written, going on after a kill, other runs, several processes."""

import gc
import json
import os
import random
import signal
import sys
import threading
import time
import weakref

import numpy as np
import pytest
import torch
from captum.attr import GradientShap
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from attributions import Predictor, expected_gradients
from tests.trimvae.training.cases import finish, start
from trimvae import VAE, explain
from trimvae.explanation.sharding import explain_into
from trimvae.explanation.shards import Shards, shard_path
from trimvae.storage import read_tensors

EXAMPLES = 30


class Passing(IterableDataset):
    """Examples, one after the other."""

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        yield from self.rows


@pytest.fixture(scope="module")
def asked():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = VAE.dense((6,), latent_size=3, hidden=(16,))
        predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
        return vae, predictor, torch.randn(EXAMPLES, 6)


def content(folder):
    """Every tensor and text of every shard."""
    return {
        path.name: read_tensors(path, "Explanation")
        for path in sorted(folder.glob("shard-*.safetensors"))
    }


def are_equal(one, other):
    assert one.keys() == other.keys()
    for name, (tensors, texts) in one.items():
        others, other_texts = other[name]
        assert texts == other_texts
        assert tensors.keys() == others.keys()
        assert all(torch.equal(tensor, others[key]) for key, tensor in tensors.items())
    return True


KINDS = {
    "array": lambda rows: rows.numpy(),
    "TensorDataset": lambda rows: TensorDataset(rows, torch.arange(len(rows))),
    "DataLoader": lambda rows: DataLoader(TensorDataset(rows), batch_size=4),
    "IterableDataset": Passing,
    "generator": lambda rows: (part for part in rows.split(9)),
}


def test_shards_hold_what_explain_returns_for_all_examples(asked, tmp_path):
    vae, predictor, inputs = asked
    labels = torch.arange(EXAMPLES) % 4
    shards = explain_into(tmp_path, vae, predictor, inputs, labels=labels, shard_size=8)
    whole = explain(vae, predictor, inputs, labels=labels, check_parts=False)
    assert shards.counts == (8, 8, 8, 6)
    for name, tensor in whole.tensors().items():
        parts = [getattr(shard, name) for shard in shards]
        found = parts[0] if name in ("baselines", "baseline_outputs") else torch.cat(parts)
        torch.testing.assert_close(found, tensor, rtol=1e-4, atol=1e-5)
    assert shards[0].traverse(0, 0).inputs.shape == (9, 6)  # can be asked at once


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_gives_the_examples_the_shards_are_the_same(kind, asked, tmp_path):
    vae, predictor, inputs = asked
    explain_into(tmp_path / "one", vae, predictor, inputs, shard_size=8)
    explain_into(tmp_path / "other", vae, predictor, KINDS[kind](inputs), shard_size=8)
    assert are_equal(content(tmp_path / "one"), content(tmp_path / "other"))


def test_a_memory_map_is_read_a_shard_at_a_time(asked, tmp_path, monkeypatch):
    vae, predictor, inputs = asked
    np.save(tmp_path / "rows.npy", inputs.numpy())
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    lengths = []
    copied = np.array
    monkeypatch.setattr(
        np, "array", lambda rows, **kind: lengths.append(len(rows)) or copied(rows, **kind)
    )
    explain_into(tmp_path / "out", vae, predictor, mapped, shard_size=8)
    assert max(lengths) == 8


def test_by_default_no_tensor_of_a_shard_is_large(asked, tmp_path, monkeypatch):
    vae, predictor, inputs = asked
    monkeypatch.setattr("trimvae.explanation.sharding._NUMBERS", 60)
    shards = explain_into(tmp_path, vae, predictor, inputs)
    assert max(shards.counts) == 5  # 4 classes by 3 latents are more than 6 inputs


def test_real_inputs_are_asked_about_the_first_shard_alone(asked, tmp_path):
    vae, predictor, inputs = asked
    shards = explain_into(tmp_path / "a", vae, predictor, inputs, shard_size=15)
    assert [shard.settings["bundles"] is None for shard in shards] == [False, True]
    shards = explain_into(tmp_path / "b", vae, predictor, inputs, shard_size=15, check_parts=False)
    assert shards[0].settings["bundles"] is None


@pytest.mark.slow
def test_no_shard_is_kept_while_the_next_one_is_made(asked, tmp_path, monkeypatch):
    vae, predictor, inputs = asked
    made = []

    def watched(*arguments, **options):
        gc.collect()
        assert all(each() is None for each in made)
        explanation = explain(*arguments, **options)
        made.append(weakref.ref(explanation))
        return explanation

    monkeypatch.setattr("trimvae.explanation.sharding.explain", watched)
    shards = explain_into(tmp_path, vae, predictor, Passing(inputs), shard_size=8)
    assert len(made) == 4
    read = []
    for shard in map(shards.__getitem__, range(4)):
        gc.collect()
        assert sum(each() is not None for each in read) <= 1  # the loop's own variable
        read.append(weakref.ref(shard))


def test_every_shard_draws_for_itself_and_all_share_one_distribution(asked, tmp_path):
    vae, predictor, inputs = asked
    same = inputs[:5].repeat(2, 1)
    options = {"baselines": "posterior", "background": inputs, "shard_size": 5}
    first, second = explain_into(tmp_path / "drawn", vae, predictor, same, **options)
    assert not torch.equal(first.baselines, second.baselines)
    for method in (expected_gradients, GradientShap):
        folder = tmp_path / method.__name__
        first, second = explain_into(folder, vae, predictor, same, method=method, **options)
        assert torch.equal(first.baselines, second.baselines)
        assert len(first.baselines) == 100
        assert not torch.equal(first.attributions, second.attributions)
        assert len(Shards.open(folder).sample(7).baselines) == 100


def test_baselines_of_each_example_stay_with_it_in_a_sample(asked, tmp_path):
    vae, predictor, inputs = asked
    options = {"baselines": "class_mean", "background": inputs}
    shards = explain_into(tmp_path, vae, predictor, inputs, shard_size=29, **options)
    assert shards.counts == (29, 1)
    whole = explain(vae, predictor, inputs, check_parts=False, **options)
    for rows in ([3, 29], [29], [4, 2]):
        torch.testing.assert_close(shards.select(rows).starts, whole.select(rows).starts)


@pytest.mark.parametrize("classes", [[2, 0], "predicted"])
def test_chosen_classes_are_those_of_every_shard(classes, asked, tmp_path):
    options = {"classes": classes, "n_steps": 4}
    shards = explain_into(tmp_path / "a", *asked, shard_size=8, **options)
    whole = explain(*asked, **options)
    joined = torch.cat([shard.attributions for shard in shards])
    torch.testing.assert_close(joined, whole.attributions)
    some = shards.select([29, 3])
    assert some.chosen_classes == classes
    torch.testing.assert_close(some.target_attributions, whole.target_attributions[[29, 3]])
    every = explain_into(tmp_path / "b", *asked, shard_size=8, n_steps=4)
    torch.testing.assert_close(shards.sums.means, every.sums.means, equal_nan=True)
    shards.plot()
    with pytest.raises(ValueError, match="classes"):
        explain_into(tmp_path / "a", *asked, shard_size=8, n_steps=4, classes=[1])


def test_nothing_of_the_callers_changes(asked, tmp_path):
    vae, predictor, inputs = asked
    vae.train()
    weights = [value.clone() for value in vae.state_dict().values()]
    before, state = inputs.clone(), torch.get_rng_state()
    explain_into(tmp_path, vae, predictor, DataLoader(TensorDataset(inputs)), shard_size=20)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(inputs, before)
    assert vae.training
    assert all(map(torch.equal, weights, vae.state_dict().values()))


def test_a_whole_run_is_opened_again_without_explaining(asked, tmp_path, monkeypatch):
    vae, predictor, inputs = asked
    explain_into(tmp_path, vae, predictor, inputs, shard_size=8)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    monkeypatch.setattr("trimvae.explanation.sharding.explain", None)
    assert explain_into(tmp_path, vae, predictor, inputs, shard_size=8).complete
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("kind", ["array", "generator"])
def test_an_error_loses_no_shard_and_the_same_call_goes_on(kind, asked, tmp_path, monkeypatch):
    vae, predictor, inputs = asked
    explain_into(tmp_path / "whole", vae, predictor, inputs, shard_size=8)
    calls = []

    def failing(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise OSError("the power failed")
        return explain(*arguments, **options)

    monkeypatch.setattr("trimvae.explanation.sharding.explain", failing)
    with pytest.raises(OSError, match="the power failed"):
        explain_into(tmp_path / "out", vae, predictor, KINDS[kind](inputs), shard_size=8)
    assert len(content(tmp_path / "out")) == 2
    (tmp_path / "out" / f".{shard_path(tmp_path, 2).name}.abcd").write_bytes(b"half")
    explain_into(tmp_path / "out", vae, predictor, KINDS[kind](inputs), shard_size=8)
    assert len(calls) == 5  # two shards were left
    assert are_equal(content(tmp_path / "whole"), content(tmp_path / "out"))
    assert not list((tmp_path / "out").glob(".*"))  # nor what was half written


OTHERS = {
    "seed": {"seed": 1},
    "n_steps": {"n_steps": 8},
    "shard_size": {"shard_size": 9},
    "explained": {"explained": "output"},
    "baselines": {"baselines": torch.ones(1, 3)},
    "labels": {"labels": torch.zeros(EXAMPLES, dtype=torch.long)},
}


@pytest.mark.parametrize("option", OTHERS)
def test_another_run_is_refused_by_name(option, asked, tmp_path):
    vae, predictor, inputs = asked
    options = {"shard_size": 8, "check_parts": False}
    explain_into(tmp_path, vae, predictor, inputs, **options)
    with pytest.raises(ValueError, match=rf"`folder` must be new or hold the same run.*{option}="):
        explain_into(tmp_path, vae, predictor, inputs, **{**options, **OTHERS[option]})


def test_other_weights_data_and_lengths_are_refused(asked, tmp_path):
    vae, predictor, inputs = asked
    other = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    other_vae = VAE.dense((6,), latent_size=3, hidden=(16,))
    explain_into(tmp_path, vae, predictor, inputs, shard_size=8)
    for arguments, named in (
        ((vae, other, inputs), "predictor="),
        ((other_vae, predictor, inputs), "code="),
        ((vae, predictor, inputs.flip(0)), "first_latents="),
        ((vae, predictor, inputs[:20]), "examples=20 .30 in the folder"),
    ):
        with pytest.raises(ValueError, match=rf"{named}.*choose another folder"):
            explain_into(tmp_path, *arguments, shard_size=8)


def test_a_code_is_asked_once_whether_it_answers_alike_and_not_for_every_shard(asked, tmp_path):
    vae, predictor, inputs = asked

    class Drawing(torch.nn.Module):
        def encode(self, rows):
            return vae.encode(rows).rsample()

        def decode(self, latents):
            return vae.decode(latents)

    with pytest.raises(ValueError, match="`code.encode` must not change from call to call"):
        explain_into(tmp_path / "drawing", Drawing(), predictor, inputs)
    asked_for = []

    class Counting(Drawing):
        def encode(self, rows):
            asked_for.append(len(rows))
            return vae.encode(rows)

    options, rows = {"n_steps": 4, "check_parts": False}, []
    for size in (EXAMPLES, EXAMPLES // 2):
        asked_for.clear()
        explain_into(
            tmp_path / str(size), Counting(), predictor, inputs, shard_size=size, **options
        )
        rows.append(sum(asked_for))
    assert rows[0] == rows[1]


def test_a_truncated_shard_is_refused_and_made_again_once_it_is_removed(asked, tmp_path):
    folder, again = tmp_path / "out", {"shard_size": 8, "n_steps": 4}
    explain_into(folder, *asked, **again)
    before, broken = content(folder), shard_path(folder, 1)
    whole = broken.read_bytes()
    broken.unlink()  # tensors that were read still lie in it
    broken.write_bytes(whole[:500])
    with pytest.raises(ValueError, match=r"shard-000001.* truncated.*Remove it, and explain again"):
        explain_into(folder, *asked, **again)
    broken.unlink()
    explain_into(folder, *asked, **again)
    assert are_equal(before, content(folder))


def test_a_stream_that_ends_elsewhere_is_refused(asked, tmp_path):
    vae, predictor, inputs = asked
    explain_into(tmp_path, vae, predictor, Passing(inputs), shard_size=8)
    with pytest.raises(ValueError, match="as many examples as before. Got 24, and 30"):
        explain_into(tmp_path, vae, predictor, Passing(inputs[:24]), shard_size=8)


def test_folders_that_cannot_be_written_to_are_refused(asked, tmp_path):
    vae, predictor, inputs = asked
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="`folder` must be a folder"):
        explain_into(tmp_path / "file", vae, predictor, inputs)
    explain_into(tmp_path / "out", vae, predictor, inputs)
    (tmp_path / "out" / "run.json").unlink()
    with pytest.raises(ValueError, match=r"with shards and without run\.json"):
        explain_into(tmp_path / "out", vae, predictor, inputs)


def test_a_wrong_option_leaves_nothing_that_stands_in_the_way(asked, tmp_path):
    vae, predictor, inputs = asked
    with pytest.raises(TypeError, match="unknown"):
        explain_into(tmp_path, vae, predictor, inputs, unknown=1)
    assert explain_into(tmp_path, vae, predictor, inputs).complete


@pytest.mark.parametrize("part", [(2, 2), (-1, 2), (0, 0)])
def test_a_part_is_a_rank_below_world(part, asked, tmp_path):
    with pytest.raises(ValueError, match=r"`part` must be \(rank, world\)"):
        explain_into(tmp_path, *asked, part=part)


def test_baselines_that_fit_one_shard_only_are_refused(asked, tmp_path):
    with pytest.raises(ValueError, match=r"`baselines` must be a name or one row"):
        explain_into(tmp_path, *asked, shard_size=8, baselines=torch.zeros(8, 3))


def test_no_example_is_refused(asked, tmp_path):
    vae, predictor, inputs = asked
    for nothing in (inputs[:0], iter([])):
        with pytest.raises(ValueError, match="must hold at least one example"):
            explain_into(tmp_path, vae, predictor, nothing)


@pytest.mark.parametrize("kind", ["array", "DataLoader", "IterableDataset"])
@pytest.mark.parametrize("world", [2, 3, 7])
def test_parts_write_together_what_one_process_writes(kind, world, asked, tmp_path):
    vae, predictor, inputs = asked
    explain_into(tmp_path / "one", vae, predictor, inputs, shard_size=8)
    for rank in reversed(range(world)):  # of seven, three find nothing to do
        data, out = KINDS[kind](inputs), tmp_path / "parts"
        shards = explain_into(out, vae, predictor, data, shard_size=8, part=(rank, world))
        assert shards.complete == (rank == 0)
    assert are_equal(content(tmp_path / "one"), content(tmp_path / "parts"))
    opened = Shards.open(tmp_path / "parts")
    assert torch.equal(torch.cat([shard.inputs for shard in opened]), inputs)


def test_more_or_fewer_processes_go_on_with_a_run(asked, tmp_path):
    vae, predictor, inputs = asked
    explain_into(tmp_path / "one", vae, predictor, inputs, shard_size=4)
    explain_into(tmp_path / "out", vae, predictor, inputs, shard_size=4, part=(1, 3))
    assert not Shards(tmp_path / "out").complete
    for rank in (0, 1):
        explain_into(tmp_path / "out", vae, predictor, inputs, shard_size=4, part=(rank, 2))
    assert are_equal(content(tmp_path / "one"), content(tmp_path / "out"))


def test_a_table_keeps_the_names_of_its_columns(asked, tmp_path):
    pandas = pytest.importorskip("pandas")
    vae, predictor, inputs = asked
    frame = pandas.DataFrame(inputs.numpy(), columns=list("abcdef"))
    labels = pandas.Series(range(EXAMPLES), index=range(100, 100 + EXAMPLES)) % 4
    options = {"labels": labels, "background": frame, "baselines": "dataset_mean"}
    shards = explain_into(tmp_path, vae, predictor, frame, shard_size=8, **options)
    whole = explain(vae, predictor, frame, check_parts=False, **options)
    sample = shards.sample(EXAMPLES)
    assert sample.settings["feature_names"] == list("abcdef")
    assert torch.equal(sample.labels, whole.labels)
    torch.testing.assert_close(sample.attributions, whole.attributions, rtol=1e-4, atol=1e-5)


def test_a_table_of_categories_is_read_by_the_code_that_knows_it(tmp_path):
    pandas = pytest.importorskip("pandas")
    generator = np.random.default_rng(0)
    frame = pandas.DataFrame({"age": generator.normal(size=20), "town": list("abcde") * 4})
    vae = VAE.table(frame, latent_size=2)
    predictor = nn.Linear(6, 3)
    options = {"background": frame, "baselines": "dataset_mean"}
    shards = explain_into(tmp_path, vae, predictor, frame, shard_size=8, **options)
    whole = explain(vae, predictor, frame, check_parts=False, **options)
    sample = shards.sample(20)
    assert sample.settings["feature_names"] == whole.settings["feature_names"]
    torch.testing.assert_close(sample.attributions, whole.attributions, rtol=1e-4, atol=1e-5)
    assert explain_into(tmp_path, vae, predictor, frame, shard_size=8, **options).complete


def test_a_predictor_that_was_made_before_is_used_as_it_is(asked, tmp_path):
    vae, predictor, inputs = asked
    made = Predictor(predictor, explained="output")
    shards = explain_into(tmp_path, vae, made, inputs)
    assert shards[0].settings["explained"] == "output"


SCRIPT = """
import sys
import time
import torch
from torch import nn
from trimvae import VAE
from trimvae.explanation.sharding import explain_into

torch.set_num_threads(1)
torch.manual_seed(0)
vae, predictor = VAE.dense((6,), 3, hidden=(16,)), nn.Linear(6, 4)
inputs = torch.randn(301, 6)
world = int(sys.argv[2])
if world > 1:
    where = {"init_method": f"file://{sys.argv[3]}", "world_size": world, "rank": int(sys.argv[4])}
    torch.distributed.init_process_group("gloo", **where)
    time.sleep(int(sys.argv[4]))  # the first one is through long before the second
shards = explain_into(sys.argv[1], vae, predictor, inputs, shard_size=4)
assert shards.complete and shards.examples == 301, len(shards)
if world > 1:
    torch.distributed.destroy_process_group()
"""


def run_here(out):
    """The script in this process, which spares the start of another."""
    threads, arguments = torch.get_num_threads(), sys.argv
    sys.argv = ["script.py", str(out), "1"]
    try:
        with torch.random.fork_rng():
            exec(SCRIPT, {})
    finally:
        sys.argv = arguments
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    run_here(folder / "out")
    return script, content(folder / "out")


def test_a_run_that_is_killed_goes_on_and_ends_with_the_same_bits(uninterrupted, tmp_path):
    script, whole = uninterrupted
    out = tmp_path / "out"
    process = start(script, out, 1)
    wanted = random.randrange(1, 50)
    while len(list(out.glob("shard-*"))) < wanted and process.poll() is None:
        time.sleep(0.002)
    time.sleep(random.random() * 0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert wanted <= len(list(out.glob("shard-*"))) < 76
    with pytest.raises(ValueError, match="`folder` must hold a whole run"):
        Shards.open(out)
    run_here(out)
    assert are_equal(whole, content(out))
    assert json.loads((out / "end.json").read_text()) == {"examples": 301}
    assert not list(out.glob(".*"))


def test_two_processes_of_gloo_explain_as_one_does_and_wait_for_each_other(uninterrupted, tmp_path):
    script, whole = uninterrupted
    meeting = tmp_path / "meeting"
    processes = [start(script, tmp_path / "out", 2, meeting, rank) for rank in (0, 1)]
    for process in processes:
        finish(process)  # whose shards were complete when it was through
    two = content(tmp_path / "out")
    assert two.keys() == whole.keys()
    for name, (tensors, _) in whole.items():
        for key, tensor in tensors.items():
            torch.testing.assert_close(two[name][0][key], tensor, rtol=1e-6, atol=1e-6)


def test_an_interrupted_run_leaves_other_threads_their_turn(asked, tmp_path):
    vae, predictor, inputs = asked

    def broken():
        yield inputs[:8]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        explain_into(tmp_path, vae, predictor, broken(), shard_size=4)
    done = threading.Thread(target=lambda: explain(vae, predictor, inputs[:2], seed=1))
    done.start()
    done.join(timeout=30)
    assert not done.is_alive()


def test_whole_numbers_of_numpy_are_taken_and_the_run_goes_on_as_the_same(asked, tmp_path):
    size, seed = np.int64(10), np.int64(3)
    for options in ({"shard_size": size, "seed": seed}, {"shard_size": 10, "seed": 3}):
        shards = explain_into(tmp_path, *asked, **options)
        assert shards.counts == (10, 10, 10)


def test_labels_are_refused_beside_a_loader_that_shuffles(asked, tmp_path):
    shuffled = DataLoader(TensorDataset(asked[2]), 8, shuffle=True)
    with pytest.raises(ValueError, match="`data` must come in the order of `labels`"):
        explain_into(tmp_path, *asked[:2], shuffled, labels=torch.zeros(EXAMPLES).long())
