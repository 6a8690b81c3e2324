"""Sanity checks (Adebayo et al., 2018) on latents: does the explanation depend on the model?

Digits; attributions (integrated gradients, prior mean baseline) to the class that the trained
predictor predicts, for 500 held-out digits, compared by Spearman's correlation over latents with
those after something was broken. Signed: chance is 0. Absolute: anything that multiplies by the
same latents is alike, so chance is the row of random gradients. Retrained VAEs are matched latent
by latent (Hungarian method).

    python -m benchmarks.explanations.sanity --seeds 10 11 12 13 14
"""

import torch
from torch import Tensor, nn

from attributions import Sparsity, Trim, integrated_gradients
from attributions.codes import Decoder
from attributions.measures.sanity import rank_correlation, reinitialised
from attributions.measures.stability import seed_stability
from benchmarks.sizes import SEEDS, new_parser, sized
from benchmarks.tables import interval, write
from trimvae import VAE, fit
from trimvae.cli.demo_data import new_classifier, train_classifier
from trimvae.data import digits

N_TRAIN, N_TEST, EPOCHS = sized(None, 256), sized(500, 32), sized(12, 1)


def train_vae(predictor: nn.Module, inputs: Tensor, seed: int, epochs: int) -> VAE:
    torch.manual_seed(seed)
    vae = VAE.convolutional((1, 28, 28), latent_size=10)
    fit(
        vae,
        predictor,
        inputs,
        prediction_weight=10.0,
        penalties=[Sparsity(weight=4.0)],
        max_epochs=epochs,
        seed=seed,
        progress=False,
    )
    return vae.eval()


def explained(predictor: nn.Module, vae: nn.Module, latents: Tensor, target: Tensor) -> Tensor:
    trim = Trim(predictor, Decoder(vae), explained="centred_logit")
    scores = integrated_gradients(trim, latents, n_steps=32).attributions
    return scores[torch.arange(len(latents)), target]


def codes(vae: VAE, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return vae.encode(inputs).mean


def matched(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Attributions of both codes, the second's latents in the order of the first's."""
    (latents, scores), (other_latents, other_scores) = first, second
    found = seed_stability([latents, other_latents], [scores, other_scores])
    return scores, other_scores[:, found.matching]


def run(seed: int, epochs: int) -> dict[str, tuple[float, float]]:
    data = digits()
    torch.manual_seed(seed)
    images, labels = data.train_inputs[:N_TRAIN], data.train_labels[:N_TRAIN]
    predictor = train_classifier(new_classifier(), images, labels, epochs=EPOCHS)
    shuffled = labels[torch.randperm(len(labels))]
    on_noise = train_classifier(new_classifier(), images, shuffled, epochs=EPOCHS)
    randomised = reinitialised(predictor, generator=torch.Generator().manual_seed(seed))
    inputs = data.test_inputs[:N_TEST]
    with torch.no_grad():
        target = predictor(inputs).argmax(dim=1)
    vae = train_vae(predictor, images, seed, epochs)
    latents = codes(vae, inputs)
    scores = explained(predictor, vae, latents, target)
    broken = VAE.convolutional((1, 28, 28), latent_size=10)
    broken.load_state_dict(vae.state_dict())
    broken.decoder = reinitialised(vae.decoder, generator=torch.Generator().manual_seed(seed))
    other = train_vae(predictor, images, seed + 100, epochs)
    through_noise = train_vae(randomised, images, seed, epochs)
    generator = torch.Generator().manual_seed(seed)
    chance = latents * torch.randn(latents.shape, generator=generator)

    def again(name: nn.Module, code: VAE) -> tuple[Tensor, Tensor]:
        own = codes(code, inputs)
        return own, explained(name, code, own, target)

    pairs = {
        "the same predictor, VAE of another seed": matched(
            (latents, scores), again(predictor, other)
        ),
        "random gradients (chance)": (scores, chance),
        "re-initialised predictor": (scores, explained(randomised, vae, latents, target)),
        "predictor trained on random labels": (
            scores,
            explained(on_noise, vae, latents, target),
        ),
        "re-initialised decoder": (scores, explained(predictor, broken, latents, target)),
        "VAE retrained through the re-initialised predictor": matched(
            (latents, scores), again(randomised, through_noise)
        ),
    }
    return {
        name: (
            rank_correlation(left, right).nanmean().item(),
            rank_correlation(left.abs(), right.abs()).nanmean().item(),
        )
        for name, (left, right) in pairs.items()
    }


def main() -> None:
    parser = new_parser(__doc__, seeds=SEEDS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    results = []
    for seed in arguments.seeds:
        results.append(run(seed, arguments.epochs))
        print(seed, results[-1], flush=True)
    rows = {
        name: {
            "signed": interval([result[name][0] for result in results], 2),
            "absolute": interval([result[name][1] for result in results], 2),
        }
        for name in results[0]
    }
    seeds = " ".join(map(str, arguments.seeds))
    note = (
        f"Rank correlation over latents, mean of {N_TEST} digits, {len(arguments.seeds)} seeds. "
        f"`python -m benchmarks.explanations.sanity --seeds {seeds}`"
    )
    write("sanity", note, rows, "what was changed")


if __name__ == "__main__":
    main()
