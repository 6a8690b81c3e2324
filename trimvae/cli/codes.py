"""The names of the command line: codes and penalties, and an untrained code that suits the data."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from attributions.penalties import (
    GroupSparsity,
    Hessian,
    Independence,
    InformationFlow,
    JacobianSparsity,
    Monotonicity,
    NearestNeighbour,
    Penalty,
    SharedSparsity,
    Sparsity,
)
from trimvae.data import Split
from trimvae.models import ALAE, IVAE, VAE, InfoGAN, StyleGAN2
from trimvae.objectives import decomposition

CODES: dict[str, Any] = {
    "vae": VAE,
    "residual": VAE,
    "ivae": IVAE,
    "infogan": InfoGAN,
    "alae": ALAE,
    "stylegan2": StyleGAN2,
}

PENALTIES: dict[str, type[Penalty]] = {
    "group_sparsity": GroupSparsity,
    "hessian": Hessian,
    "independence": Independence,
    "information_flow": InformationFlow,
    "jacobian_sparsity": JacobianSparsity,
    "monotonicity": Monotonicity,
    "nearest_neighbour": NearestNeighbour,
    "sparsity": Sparsity,
}


# Weights of `Sparsity` that suit, beside the prediction weight of each code's own recipe.
SPARSITY = {
    "vae": 6.0,
    "residual": 6.0,
    "ivae": 6.0,
    "infogan": 0.1,
    "alae": 0.3,
    "stylegan2": 0.0,  # no encoder in training
}


def penalty_named(name: str, weight: float | None = None) -> Penalty:
    """Make a penalty, with its default weight or another.

    Raises:
        ValueError: No penalty has this name, or it refuses the weight.

    Examples:
        >>> penalty_named("hessian", 0.5).weight
        0.5
    """
    if name not in PENALTIES:
        raise ValueError(
            f"`penalty` must be one of {', '.join(PENALTIES)}. Got {name!r}. Start with sparsity."
        )
    return PENALTIES[name]() if weight is None else PENALTIES[name](weight=weight)


def penalties_named(
    sparsity: float, monotonicity: float, others: list[str], *, axes: bool = False
) -> list[Penalty]:
    """Return the penalties of the command line: two by weight, others as NAME or NAME=WEIGHT.

    Along axes sparsity is that which classes share.

    Raises:
        ValueError: A name or weight is none.
    """
    penalties: list[Penalty] = []
    if sparsity:
        kind = SharedSparsity if axes else Sparsity
        penalties.append(kind(weight=sparsity))
    if monotonicity:
        penalties.append(Monotonicity(weight=monotonicity))
    for item in others:
        name, equals, weight = item.partition("=")
        try:
            penalties.append(penalty_named(name, float(weight) if equals else None))
        except ValueError as error:
            raise ValueError(
                f"`--penalty` must be NAME or NAME=WEIGHT. Got {item!r}. {error}"
            ) from error
    return penalties


def code_named(model: str) -> Any:
    """Return the class of a code.

    Raises:
        ValueError: There is none of this name.
    """
    if model not in CODES:
        raise ValueError(
            f"`--model` must be one of {', '.join(CODES)}. Got {model!r}. Start with vae."
        )
    return CODES[model]


def new_code(model: str, parts: Split, latent_size: int | None, likelihood: str) -> Any:
    """Return an untrained code of a kind that suits the inputs.

    Raises:
        ValueError: There is no such kind, it needs images or labels, or has no such option.
    """
    code_named(model)
    shape: Any = tuple(parts.train_inputs.shape[1:])
    if len(shape) != 3 and model not in ("vae", "ivae"):
        raise ValueError(
            f"`--model {model}` must be given images. Got inputs of shape {shape}. Use --model vae."
        )
    if issubclass(CODES[model], VAE):
        return _new_vae(model, parts, latent_size or 10, likelihood)
    if model == "infogan":
        if latent_size is not None:
            raise ValueError(
                "`--latent-size` must be left out for infogan, whose codes are a category for each "
                f"class and two numbers. Got {latent_size}. Leave it out."
            )
        return InfoGAN(shape, n_categories=max(2, len(parts.class_names or range(10))))
    if model == "alae":
        return ALAE(shape, latent_size or 32)
    return StyleGAN2(shape, w_dim=latent_size or 64)


def _new_vae(model: str, parts: Split, latent_size: int, likelihood: str) -> VAE:
    inputs = parts.train_inputs
    if model == "vae" and parts.schema is not None:
        return VAE.table(parts.schema, latent_size)
    if likelihood == "auto":
        low, high = inputs.aminmax()
        likelihood = "bernoulli" if low >= 0 and high <= 1 else "gaussian"
    options: dict[str, Any] = {"likelihood": likelihood}
    if model == "ivae":
        if parts.train_labels is None:
            raise ValueError(
                "`--model ivae` must be given labels, its auxiliary variable u. Got data without. "
                "Add `labels` to the .npz, or use --model vae."
            )
        options["n_contexts"] = int(parts.train_labels.max()) + 1
    shape: Any = tuple(inputs.shape[1:])
    make = CODES[model].dense
    if len(shape) == 3 and min(shape[1:]) >= 28:
        make = CODES[model].convolutional
    if model == "residual" or (make == VAE.convolutional and max(shape[1:]) > 128):
        make = VAE.residual
    made: VAE = make(shape, latent_size, **options)
    return made


def code_parts(vae: VAE, inputs: Tensor, seed: int) -> dict[str, float]:
    """The KL's three parts, in nats: 10,000 points against the whole training set."""
    vae, device = vae.unturned, next(vae.parameters()).device
    with torch.no_grad():
        posteriors = [vae.encode(part.to(device)) for part in inputs.split(512)]
    whole = Normal(
        torch.cat([one.mean for one in posteriors]), torch.cat([one.stddev for one in posteriors])
    )
    generator = torch.Generator(device=device).manual_seed(seed)
    parts = decomposition(whole, vae.prior, generator=generator)
    return {name: value.item() for name, value in parts._asdict().items()}
