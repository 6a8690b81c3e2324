"""evaluate() over several processes: the figures of one, and nobody waits for one that failed."""

import json

import pytest
import torch
from torch import distributed

from tests.trimvae.evaluation.rules import Rule, Straight
from tests.trimvae.training.cases import finish, start
from trimvae import evaluate

# One process makes what both need.
pytestmark = pytest.mark.xdist_group("dividing")

SCRIPT = """
import json
import sys
import torch
from torch import nn
from trimvae import VAE, evaluate
from trimvae.evaluation import evaluating

torch.set_num_threads(1)
meeting, rank, world, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
if world > 1:
    where = {"init_method": f"file://{meeting}", "world_size": world, "rank": rank}
    torch.distributed.init_process_group("gloo", **where)
torch.manual_seed(0)
vae, predictor = VAE.dense((6,), 3, hidden=(16,)), nn.Linear(6, 4)
inputs, labels = torch.randn(60, 6), torch.arange(60) % 4
options = {"n_interventions": 24, "n_alpha": 4, "n_beta": 3, "divide": world > 1}
explain, explained = evaluating.explain, []


def counted(*arguments, **options):
    explained.append(len(arguments[2]))
    return explain(*arguments, **options)


evaluating.explain = counted
judge = nn.Linear(6, 4)
found = evaluate(vae, predictor, inputs, batch_size=8, labels=labels, judges=[judge], **options)
texts = {"figures": found.to_dict(), "explained": list(explained)}
state = torch.get_rng_state()
if world > 1:
    for name, wrong in {"other": inputs + rank, "fewer": inputs[: 60 - 8 * rank]}.items():
        try:
            evaluate(vae, predictor, wrong, batch_size=8, **options)
        except ValueError as error:
            texts[name] = str(error)
    late = inputs.clone()
    late[8] = torch.nan  # in the batch of the second process
    try:
        evaluate(vae, predictor, late, batch_size=8, **options)
    except ValueError as error:
        texts["late"] = str(error)
    torch.distributed.destroy_process_group()
assert torch.equal(state, torch.get_rng_state())
open(out, "w").write(json.dumps(texts))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What one process says, and what two say that divide the work."""
    folder = tmp_path_factory.mktemp("divided")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    processes = [
        start(script, folder / "meeting", rank, world, folder / f"{rank}_{world}")
        for rank, world in ((0, 1), (0, 2), (1, 2))
    ]
    for process in processes:
        finish(process)
    return [json.loads((folder / name).read_text()) for name in ("0_1", "0_2", "1_2")]


def test_two_processes_of_gloo_find_the_figures_of_one(told):
    one, first, second = (said["figures"] for said in told)
    assert first == second
    for name, value in one["metrics"].items():
        assert first["metrics"][name] == pytest.approx(value, abs=1e-6, nan_ok=True), name
    for name, ends in one["intervals"].items():
        assert first["intervals"][name] == pytest.approx(ends, abs=1e-6), name
    for part in ("by_class", "by_latent", "by_change"):
        assert first[part].keys() == one[part].keys()
        for name, row in one[part].items():
            assert first[part][name] == pytest.approx(row, abs=1e-6, nan_ok=True), (part, name)
    assert first["warnings"] == one["warnings"]
    assert first["settings"] == one["settings"]
    assert {"agreement_of_judge_1", "deletion_score"} < first["metrics"].keys()


def test_each_process_explains_every_second_batch(told):
    assert [said["explained"] for said in told] == [
        [8, 8, 8, 8, 8, 8, 8, 4],
        [8, 8, 8, 8],
        [8, 8, 8, 4],
    ]


@pytest.mark.parametrize("name", ["other", "fewer"])
def test_other_data_in_another_process_are_refused_in_both(told, name):
    for said in told[1:]:
        assert "`data` must be the same in every process" in said[name]


def test_an_error_in_one_process_is_raised_in_both(told):
    for said in told[1:]:
        assert "`inputs` must be finite" in said["late"]


def test_without_other_processes_there_is_nothing_to_divide():
    assert not distributed.is_initialized()
    with pytest.raises(RuntimeError, match="`divide` must have processes that know each other"):
        evaluate(Straight(), Rule(), torch.randn(8, 6), divide=True)
