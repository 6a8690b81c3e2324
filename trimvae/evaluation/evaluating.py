"""evaluate(): every trust figure over a data set of any length, in constant memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from attributions.checks import check_counts, check_mode, checked_predictor
from attributions.code_checks import check_code
from attributions.codes import Code
from attributions.measures.judging import as_judges, listed
from attributions.methods.captum import Method, needs_gradient
from attributions.methods.paths import integrated_gradients
from attributions.outputs import Explained, Task
from attributions.predictors import Function
from attributions.randomness import checked_seed, undisturbed
from trimvae.data.batches import noted
from trimvae.data.loading import Array, Data, as_tensor, check_order, inputs_of, loader
from trimvae.evaluation.assembling import as_shifted, evaluation_of, real_figures
from trimvae.evaluation.counterfactuals import flip_figures
from trimvae.evaluation.deciding import Decided, check_label_count
from trimvae.evaluation.dividing import check_processes, explained_together, once
from trimvae.evaluation.figure import sample_of
from trimvae.evaluation.interventions import Interventions
from trimvae.evaluation.result import Evaluation
from trimvae.evaluation.totals import Totals
from trimvae.explanation.arguments import LatentNames, check_inputs
from trimvae.explanation.asking import FrozenCode, as_frozen
from trimvae.explanation.baselines import NamedBaseline
from trimvae.explanation.explaining import explain
from trimvae.explanation.explanation import Explanation
from trimvae.explanation.probing import Context
from trimvae.tables.asking import encoded_by, for_rows


def evaluate(
    code: Code,
    predictor: Function,
    data: Data,
    *,
    preprocess: Function | None = None,
    explained: Explained = "centred_logit",
    method: Method = integrated_gradients,
    baselines: NamedBaseline = "prior_mean",
    background: Array | None = None,
    task: Task | None = None,
    class_names: Sequence[str] | None = None,
    latent_names: LatentNames | None = None,
    batch_size: int = 256,
    n_interventions: int = 256,
    k: int = 3,
    n_alpha: int = 100,
    n_beta: int = 25,
    seed: int = 0,
    labels: Array | None = None,
    judges: Sequence[Function] = (),
    shifted: Array | None = None,
    divide: bool = False,
) -> Evaluation:
    """Measure how far explanations through a code can be trusted.

    Fidelity, completeness, sparsity, monotonicity and what is said beyond the class over all
    examples, batch by batch (`class_dependence_of_class_directions` over the first 10,000), and
    agreement where it is hard: near the predictor's boundary, on its errors, and of judges. On the
    first `n_interventions` also what has to decode many times: deletion and insertion between
    random order (0) and greedy oracle (1); flip@k beside that of random latents; information
    flow in nats with its control; agreement after one latent is replaced by another example's;
    Captum's sensitivity and infidelity at radius 0.2; the (signed) attributions of 20
    re-initialised predictors, a sanity check; and the smallest moves that flip 32 decisions.

    Others ask real inputs and not the decoder's own. `following`: of the decisions
    that change where inputs are changed (hybrids of two, exchanged columns or residuals, blur,
    noise, contrast, occlusion, shift, and yours), how many does the re-encoded decision follow?
    `real_pairs_correlation`: of two inputs that differ mostly in one latent, does the predictor say
    what the latent's attribution says? `latent_correlation` and `total_correlation` (that of a
    normal distribution): how far do the latents that are used go together in the data? And of
    inputs that are drawn and read again: `drawn_variance`, `reread` (does the encoder read what the
    decoder draws?), `strength_correlation` (does the strength of the evidence survive, and not the
    class alone?), `weakest_strength` (in every class?) and `direction` (does more of a latent mean
    the same in every example?).

    `trimvae.evaluation.meanings.MEANINGS` says each figure in a sentence.

    Neither code, predictor nor random generators are changed.

    References:
        Yeh et al.: On the (In)fidelity and Sensitivity of Explanations, 2019,
        https://arxiv.org/abs/1901.09392
        Adebayo et al.: Sanity Checks for Saliency Maps, 2018, https://arxiv.org/abs/1810.03292

    Args:
        code: A trained VAE for these inputs, or anything else with `encode` and `decode`.
        predictor: The classifier or regressor that is explained: a module or function, inputs
            `(batch, *event)` to outputs `(batch, classes)`, `(batch, 1)` or `(batch,)`. An
            `attributions.Predictor` is used as it is: `preprocess`, `explained` and `task` are
            then its own.
        data: Inputs `(n, *event)` as a tensor, NumPy array or DataFrame, or a Dataset or
            DataLoader of inputs (of a tuple the first).
        preprocess: Between decoder and predictor: a resize, three channels, mean and deviation;
            default: none.
        explained: `"centred_logit"`, the logit minus the mean logit of the example; `"output"`,
            the predictor's own output; or a `Contrast` of two classes.
        method: Any attribution method: one of ours, a Captum class or instance, or a function
            from the `Trim` to an instance.
        baselines: Where attributions start: `"prior_mean"`, `"dataset_mean"`, `"class_mean"` or
            `"posterior"`.
        background: `(n, *event)`, inputs that baselines are computed from; all but
            `"prior_mean"` need it.
        task: `"classification"` or `"regression"`; default: `"regression"` for a single output,
            else `"classification"`.
        class_names: One per output (two for a binary logit: negative, positive); default: their
            numbers.
        latent_names: One per latent, or new names by old ones, as for `explain`; default: the
            code's own, or `z0`, `z1` ...
        batch_size: Examples explained at once, where `data` is no DataLoader.
        n_interventions: Examples for the costly figures: the first ones.
        k: Latents that may move for flip@k.
        n_alpha: Values that the chosen latents take for information flow.
        n_beta: Values that the other latents take for each of these.
        seed: Of all that samples.
        labels: `(n,)`, true classes as whole numbers, in the order of the data; default: not known.
        judges: Other classifiers for the same labels, which had no part in training the code; they
            stand behind the same `preprocess`. Each is asked whether it decides reconstructions as
            it decides inputs; default: none.
        shifted: `(m, *event)`, the first inputs under another condition, one for one (another
            scanner, another texture): a further kind of change for `following`; default: none.
        divide: Whether the processes of `torch.distributed` share the work: each makes this call
            with all the data, explains every so-manieth batch, and returns the same figures, those
            of one process. The costly figures are taken in the first.

    Returns:
        The figures with 95 % intervals, and warnings; those that do not apply (flips of a
        regression) are left out.

    Raises:
        TypeError: Inputs or outputs are not floating-point numbers, `method` is none, or judges
            are no list.
        ValueError: `data` is empty, a count is below 1, inputs do not fit the code, or the
            predictor's device, dtype or batch size is another, or its outputs are not finite or
            change from call to call in eval mode; labels are not as many as the examples, or no
            numbers of classes; judges tell other classes, or judge a regression; `shifted` does
            not fit the inputs; or labels or `shifted` are given beside a loader that shuffles.
        RuntimeError: The predictor is not differentiable, gradients are switched off by
            `torch.inference_mode` (`torch.no_grad` does no harm), or `divide` is asked for without
            a process group.

    Warns:
        UserWarning: The predictor ends in a softmax.

    Examples:
        >>> from trimvae import VAE
        >>> vae, predictor = VAE.dense((6,), latent_size=2), torch.nn.Linear(6, 3)
        >>> evaluation = evaluate(vae, predictor, torch.randn(8, 6), n_alpha=5, n_beta=5)
        >>> 0 <= evaluation.metrics["agreement"] <= 1
        True
    """
    check_mode("evaluate")
    check_counts(n_interventions=n_interventions, k=k, n_alpha=n_alpha, n_beta=n_beta)
    check_processes(divide=divide)
    seed = checked_seed(seed)
    frozen_code, known_labels = as_frozen(code), _labels(labels, data, shifted)
    data, shifted = (encoded_by(frozen_code.original, each) for each in (data, shifted))
    predictor, *judges = (for_rows(frozen_code.original, f) for f in (predictor, *listed(judges)))
    options: dict[str, Any] = {"method": method, "baselines": baselines, "background": background}
    options |= {"seed": seed, "class_names": class_names, "latent_names": latent_names}
    totals, kept = Totals(seed), list[Explanation]()
    with undisturbed(seed, torch.device("cpu")):  # from which a DataLoader draws as well
        first, batches = _opened(frozen_code, _batches(frozen_code, data, batch_size))
        frozen_predictor = checked_predictor(
            predictor,
            first[:8],
            preprocess=preprocess,
            explained=explained,
            task=task,
            gradient=needs_gradient(method),
            apart=True,
        )
        context = Context(frozen_code, frozen_predictor)
        frozen_judges = as_judges(judges, frozen_predictor, first[:8])
        decided = Decided(frozen_judges, known_labels, seed)
        other_inputs = as_shifted(shifted, first)

        def of_batch(inputs: Tensor, number: int) -> Explanation:
            return explain(*context, inputs, check_parts=number == 0, **options)

        explained_by = explained_together if divide else _explained
        for explanation in explained_by(batches, of_batch, context):
            totals.add(explanation)
            decided.add(explanation)
            if sum(len(earlier.inputs) for earlier in kept) < n_interventions:
                kept.append(explanation)

    def whole() -> Evaluation:
        asked = Interventions(kept, n_interventions, method=method, seed=seed)
        with undisturbed(seed, asked.latents.device):
            by_latent, moved = asked.by_latent(n_alpha, n_beta), asked.figures(k, n_alpha, n_beta)
        sample = sample_of(kept, n_interventions)
        figures = (
            decided.figures() | moved | flip_figures(frozen_code, asked, sample, frozen_judges)
        )
        real = real_figures(frozen_code, asked, sample, other_inputs)
        settings = {**kept[0].settings, "flow_samples": [n_alpha, n_beta]}
        return evaluation_of(totals, figures, by_latent, real, settings)

    return once(whole) if divide else whole()


def _opened(code: FrozenCode, batches: Iterator[Tensor]) -> tuple[Tensor, Iterator[Tensor]]:
    """The first batch, once it is known to fit the code and the code to answer it, and all.

    Raises:
        ValueError: There is none.
    """
    for first in batches:
        check_inputs(code.original, first)
        check_code(code, first)
        return first, chain([first], batches)
    raise ValueError("`data` must hold at least one example. Got none. Pass more.")


def _explained(
    batches: Iterable[Tensor], of_batch: Callable[[Tensor, int], Explanation], _: Context
) -> Iterator[Explanation]:
    """Explain all batches in this process."""
    return (of_batch(inputs, number) for number, inputs in enumerate(batches))


def _batches(code: FrozenCode, data: Data, batch_size: int) -> Iterator[Tensor]:
    """Inputs where the code is; those of arrays also in its precision."""
    parameter = next(code.parameters(), None)
    of_arrays = not isinstance(data, Tensor | Dataset | DataLoader)
    batches = loader(data, batch_size, shuffle=False)
    for batch in noted(batches, batches.dataset):
        inputs = inputs_of(batch)
        if parameter is not None:
            precise = of_arrays and inputs.is_floating_point()
            inputs = inputs.to(parameter.device, parameter.dtype if precise else inputs.dtype)
        yield inputs


def _labels(labels: Array | None, data: Data, shifted: Array | None) -> Tensor | None:
    """Labels as whole numbers.

    Raises:
        ValueError: They are none, or fewer or more than the examples of an array; or they, or
            `shifted`, are given beside a loader that shuffles.
    """
    check_order(data, labels=labels, shifted=shifted)
    if labels is None:
        return None
    given = as_tensor(labels, "labels").detach()
    if given.ndim != 1 or given.is_floating_point():
        raise ValueError(
            f"`labels` must be whole numbers, one for each example. Got {given.dtype} of shape "
            f"{tuple(given.shape)}. Pass class numbers."
        )
    if not isinstance(data, Dataset | DataLoader):
        check_label_count(given, len(data))
    return given.long()
