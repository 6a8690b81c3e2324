"""Every latent model on Fashion-MNIST: does its mechanism work, and what does it explain?

12,000 images to train, 1,000 held out, one classifier. Two tables:

- mechanism: figures that only a working mechanism reaches, beside the same model with that
  mechanism cut (the information's gradient, the latent loss), which must fail;
- side by side: the same classifier explained through every code, as it is and trained through the
  classifier.

Figures and weights are kept in --out, so that an interrupted run goes on; --only chooses.

    python -m benchmarks.latent_models.generators
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchvision.utils import save_image

from attributions import Sparsity
from attributions.transforms import IndependentComponents
from benchmarks.latent_models.planted import THROUGH, scores
from benchmarks.sizes import SMOKE, docs, new_parser, require_fashion, results_folder, sized
from benchmarks.tables import write
from trimvae import VAE, explain, fit
from trimvae.cli.demo_data import accuracy, few_fashion, new_classifier, train_classifier
from trimvae.data import Split
from trimvae.models import ALAE, IVAE, InfoGAN, StyleGAN2, fit_inverter, invert
from trimvae.models.inversion import relative_error

SHAPE = (1, 28, 28)
EPOCHS = {
    "InfoGAN": sized(8, 1),
    "ALAE": sized(6, 1),
    "StyleGAN2": sized(5, 1),
    "VAE": sized(8, 1),
    "classifier": sized(6, 1),
}
BATCH = {"InfoGAN": 64, "ALAE": 64, "StyleGAN2": 32}
N_DRAWN, N_EXPLAINED, N_INVERTED = sized(2000, 40), sized(128, 4), sized(16, 4)
SIDE_BY_SIDE = (
    "ICA",
    "VAE",
    "VAE, trimvae",
    "iVAE",
    "iVAE, trimvae",
    "InfoGAN",
    "InfoGAN, trimvae",
    "ALAE",
    "ALAE, trimvae",
    "StyleGAN2",
    "StyleGAN2, trimvae",
)


def read() -> Split:
    """Some of Fashion-MNIST."""
    data = few_fashion()
    n = sized(len(data.train_inputs), 96)
    return Split(
        data.train_inputs[:n],
        data.train_labels[:n],
        data.test_inputs[:n],
        data.test_labels[:n],
        data.class_names,
    )


class WithoutInformation(InfoGAN):
    """The recogniser learns as before, the generator is not told."""

    def information_loss(self, features: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Of features without a graph."""
        return super().information_loss(features.detach(), latents)


def source(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def game(kind: Callable[[], Any], name: str, data: Any, classifier: Any, through: bool) -> Any:
    torch.manual_seed(0)
    model = kind()
    options: dict[str, Any] = {}
    if through:
        weights = THROUGH[name]
        options["penalties"] = [Sparsity(weight=weights.sparsity)]
        options["prediction_weight"] = weights.prediction
    fit(
        model,
        classifier if through else None,
        data.train_inputs,
        max_epochs=EPOCHS[name],
        batch_size=BATCH[name],
        progress=False,
        **options,
    )
    return model


def infogan_figures(model: InfoGAN, classifier: nn.Module, data: Any) -> dict[str, float]:
    with torch.no_grad():
        latents = model.draw(N_DRAWN, source())
        images = model.decode(latents)
        read = model.recognise(images)
        category, predicted = latents[:, :10].argmax(1), classifier(images).argmax(1)
        most = [predicted[category == k].bincount(minlength=10).max() for k in range(10)]
        correlations = [
            torch.corrcoef(torch.stack([read[:, column], latents[:, column]]))[0, 1].item()
            for column in (10, 11)
        ]
    return {
        "code recovery": (read[:, :10].argmax(1) == category).double().mean().item(),
        "class purity": (sum(most) / len(latents)).item(),
        "continuous correlation": sum(map(abs, correlations)) / 2,
    }


def alae_figures(model: ALAE, classifier: nn.Module, data: Any) -> dict[str, float]:
    with torch.no_grad():
        latents = model.draw(N_DRAWN // 2, source())
        mean = latents.mean(dim=0)
        again = model.encode(model.decode(latents))
        drawn = model.decode(model.encode(data.test_inputs))
        inputs = data.test_inputs
        missed = (inputs - drawn).pow(2).sum() / (inputs - inputs.mean(dim=0)).pow(2).sum()
        kept = classifier(drawn).argmax(1) == classifier(inputs).argmax(1)
    cosine = nn.functional.cosine_similarity(latents - mean, again - mean).mean()
    return {
        "w-cycle cosine": cosine.item(),
        "test R2": 1 - missed.item(),
        "class kept": kept.double().mean().item(),
    }


def stylegan_figures(model: StyleGAN2, classifier: nn.Module, data: Any) -> dict[str, float]:
    def decided(points: Tensor) -> Tensor:
        with torch.no_grad():
            return classifier(model.decode(points.flatten(1))).argmax(1)

    n = N_DRAWN // 2
    with torch.no_grad():
        one, other = (model.draw(n, source(seed)).view(n, -1, model.w_dim) for seed in (1, 2))
    before = decided(one)
    differ = before != decided(other)
    figures = {}
    for name, layers in {"coarse (4-8 px)": (0, 3), "fine (32 px)": (5, model.num_ws)}.items():
        swapped = one.clone()
        swapped[:, slice(*layers)] = other[:, slice(*layers)]
        flipped = (decided(swapped) != before)[differ]
        figures[f"class flips, {name}"] = flipped.double().mean().item()
    return figures


def inversion_figures(model: StyleGAN2, classifier: nn.Module, data: Any) -> dict[str, float]:
    """W, W+ and a feed-forward encoder on 16 held-out images."""
    images = data.test_inputs[:N_INVERTED]
    said = classifier(images).argmax(1)
    flat = StyleGAN2(**{**model.configuration, "space": "w"}).eval()
    flat.load_state_dict(model.state_dict())
    figures: dict[str, float] = {}
    for name, code in {"W+": model, "W": flat}.items():
        found = invert(
            code.decode, images, code.baseline(1), n_steps=sized(300, 3), warn_above=None
        )
        figures[f"{name} relative MSE"] = found.error.mean().item()
        with torch.no_grad():
            kept = classifier(code.decode(found.latents)).argmax(1) == said
        figures[f"{name} class kept"] = kept.double().mean().item()
    inverter = fit_inverter(
        model, SHAPE, model.latent_size, n_steps=sized(600, 3), generator=source()
    )
    with torch.no_grad():
        latents = inverter(images)
    figures["feed-forward relative MSE"] = (
        relative_error(model.decode, images, latents).mean().item()
    )
    refined = invert(model.decode, images, latents, n_steps=sized(100, 3), warn_above=None)
    figures["refined, 100 steps, relative MSE"] = refined.error.mean().item()
    return figures


def explained(code: Any, classifier: nn.Module, data: Any) -> dict[str, float]:
    explanation = explain(code, classifier, data.test_inputs[:N_EXPLAINED], n_steps=sized(50, 4))
    wanted = (
        "agreement",
        "latent_share",
        "effective_latents",
        "completeness_error",
    )
    figures = {name.replace("_", " "): explanation.metrics[name] for name in wanted}
    return {**figures, "latents": len(explanation.latent_names)}


def autoencoder(kind: str, data: Any, classifier: Any, through: bool) -> Any:
    torch.manual_seed(0)
    options: dict[str, Any] = {"max_epochs": EPOCHS["VAE"], "progress": False}
    if through:
        options["penalties"] = [Sparsity(weight=6.0)]
    else:
        options["prediction_weight"] = 0.0
    if kind == "iVAE":
        code: VAE = IVAE.convolutional(SHAPE, 10, n_contexts=10)
        inputs: Any = TensorDataset(data.train_inputs, data.train_labels)
    else:
        code, inputs = VAE.convolutional(SHAPE, 10), data.train_inputs
    fit(code, classifier if through else None, inputs, **options)
    return code


def components(data: Any) -> Any:
    return IndependentComponents(data.train_inputs[:4000], 10)


def jobs(data: Any, classifier: nn.Module, out: Path) -> dict[str, Callable[[], Any]]:
    """How each code is made; names with "trimvae" are trained through the classifier."""

    def stylegan_further() -> StyleGAN2:
        """One epoch more, with the penalty at drawn latents: a penalised step is slow."""
        model = StyleGAN2.load(out / "StyleGAN2.safetensors")
        fit(
            model,
            classifier,
            data.train_inputs,
            penalties=[Sparsity(weight=0.03)],
            penalty_examples=8,
            max_epochs=1,
            batch_size=BATCH["StyleGAN2"],
            progress=False,
        )
        return model

    return {
        "InfoGAN": lambda: game(lambda: InfoGAN(SHAPE), "InfoGAN", data, classifier, False),
        "InfoGAN, information cut": lambda: game(
            lambda: WithoutInformation(SHAPE), "InfoGAN", data, classifier, False
        ),
        "ALAE": lambda: game(lambda: ALAE(SHAPE), "ALAE", data, classifier, False),
        "ALAE, no latent loss": lambda: game(
            lambda: ALAE(SHAPE, latent_weight=0.0), "ALAE", data, classifier, False
        ),
        "VAE": lambda: autoencoder("VAE", data, classifier, False),
        "VAE, trimvae": lambda: autoencoder("VAE", data, classifier, True),
        "ICA": lambda: components(data),
        "ALAE, trimvae": lambda: game(lambda: ALAE(SHAPE), "ALAE", data, classifier, True),
        "InfoGAN, trimvae": lambda: game(lambda: InfoGAN(SHAPE), "InfoGAN", data, classifier, True),
        "iVAE": lambda: autoencoder("iVAE", data, classifier, False),
        "iVAE, trimvae": lambda: autoencoder("iVAE", data, classifier, True),
        "StyleGAN2": lambda: game(lambda: StyleGAN2(SHAPE), "StyleGAN2", data, classifier, False),
        "StyleGAN2, trimvae": stylegan_further,
    }


def kind_of(name: str) -> Any:
    kinds = {"InfoGAN": InfoGAN, "ALAE": ALAE, "StyleGAN2": StyleGAN2, "iVAE": IVAE, "VAE": VAE}
    return WithoutInformation if name.endswith("information cut") else kinds[name.split(",")[0]]


def made(name: str, make: Callable[[], Any], out: Path) -> Any:
    """A code that was kept, or a new one, which is."""
    path = out / f"{name.replace(', ', '_').replace(' ', '_')}.safetensors"
    if name == "ICA":
        return make()
    if not path.exists():
        make().save(path)
    return quickened(kind_of(name).load(path))


def quickened(code: Any) -> Any:
    """The code itself; in smoke mode its search for latents is cut short."""
    if SMOKE and hasattr(code, "inversion_steps"):
        code.inversion_steps = 2
    return code


def pictures(out: Path, classifier: nn.Module) -> None:
    """Grids for the documentation: what each code's parts draw."""
    folder = docs("images")
    if (path := out / "InfoGAN.safetensors").exists():
        infogan = quickened(InfoGAN.load(path))
        latents = infogan.draw(8, source()).repeat_interleave(10, dim=0)
        latents[:, :10] = torch.eye(10).repeat(8, 1)
        save_image(infogan.decode(latents), folder / "infogan.png", nrow=10, pad_value=1)
        data = read()
        blocks = explain(
            infogan,
            classifier,
            data.test_inputs[:64],
            n_steps=sized(32, 4),
            class_names=data.class_names,
        ).plot_blocks()
        (folder / "gallery").mkdir(exist_ok=True)
        blocks.savefig(folder / "gallery" / "blocks.png", dpi=90)
    if (path := out / "ALAE.safetensors").exists():
        alae, images = ALAE.load(path), read().test_inputs[:12]
        save_image(
            torch.cat([images, alae.decode(alae.encode(images))]),
            folder / "alae.png",
            nrow=12,
            pad_value=1,
        )
    if (path := out / "StyleGAN2.safetensors").exists():
        stylegan = StyleGAN2.load(path)
        with torch.no_grad():
            one, other = (stylegan.draw(6, source(seed)).view(6, -1, 64) for seed in (3, 4))
            rows = [other.flatten(1)]
            for index in range(4):  # coarse layers of the column, the rest of the row
                mixed = one[index].repeat(6, 1, 1)
                mixed[:, :3] = other[:, :3]
                rows.append(mixed.flatten(1))
            drawn = torch.stack([stylegan.decode(row) for row in rows])
            first = torch.cat([torch.ones(1, *SHAPE), stylegan.decode(one[:4].flatten(1))])
            grid = torch.cat([first.unsqueeze(1), drawn], dim=1).flatten(0, 1).clamp(0, 1)
        save_image(grid, folder / "stylegan2.png", nrow=7, pad_value=1)


def main() -> None:
    require_fashion()
    parser = new_parser(__doc__)
    parser.add_argument("--out", type=Path, default=results_folder("latent_models"))
    parser.add_argument("--planted", type=Path, default=results_folder("planted_codes"))
    parser.add_argument("--only", nargs="+", help="codes, by the names of the tables")
    parser.add_argument("--table", action="store_true", help="only write the tables")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = read()
    classifier = new_classifier()
    kept = arguments.out / "classifier.pt"
    if kept.exists():
        classifier.load_state_dict(torch.load(kept, weights_only=True))
    else:
        torch.manual_seed(0)
        train_classifier(
            classifier, data.train_inputs, data.train_labels, epochs=EPOCHS["classifier"]
        )
        torch.save(classifier.state_dict(), kept)
    classifier.eval()
    print("classifier", accuracy(classifier, data.test_inputs, data.test_labels), flush=True)
    figures_of = {
        "InfoGAN": infogan_figures,
        "ALAE": alae_figures,
        "StyleGAN2": stylegan_figures,
    }
    for name, make in {} if arguments.table else jobs(data, classifier, arguments.out).items():
        path = arguments.out / f"{name.replace(', ', '_').replace(' ', '_')}.json"
        if path.exists() or (arguments.only and name not in arguments.only):
            continue
        code = made(name, make, arguments.out)
        result: dict[str, Any] = {"mechanism": {}}
        if name.split(",")[0] in figures_of:
            result["mechanism"] = figures_of[name.split(",")[0]](code, classifier, data)
        if name == "StyleGAN2":
            result["inversion"] = inversion_figures(code, classifier, data)
        if name.split(", ")[-1] not in ("information cut", "no latent loss"):
            result["explained"] = explained(code, classifier, data)
            if isinstance(code, InfoGAN):
                code.inversion_steps = 0
                result["codes alone"] = explained(code, classifier, data)
        path.write_text(json.dumps(result))
        print(name, result, flush=True)
    tabulate(arguments.out, arguments.planted)
    pictures(arguments.out, classifier)


def tabulate(out: Path, planted_out: Path) -> None:
    """Write both tables from the results kept."""
    results = {
        path.stem.replace("_", " "): json.loads(path.read_text()) for path in out.glob("*.json")
    }
    rows = {}
    for model, control in (
        ("InfoGAN", "information cut"),
        ("ALAE", "no latent loss"),
        ("StyleGAN2", ""),
    ):
        for figure, value in results.get(model, {}).get("mechanism", {}).items():
            without = results.get(f"{model} {control}", {}).get("mechanism", {}).get(figure)
            rows[f"{model}: {figure}"] = {
                "value": f"{value:.3f}",
                "mechanism cut": "" if without is None else f"{without:.3f}",
            }
    for figure, value in results.get("StyleGAN2", {}).get("inversion", {}).items():
        rows[f"inversion: {figure}"] = {"value": f"{value:.3f}", "mechanism cut": ""}
    note = (
        "Fashion-MNIST, 12,000 images, one seed: InfoGAN 1,496 batches of 64, ALAE 1,122, "
        "StyleGAN2 1,875 of 32. `python -m benchmarks.latent_models.generators`"
    )
    if rows:
        write("latent_models", note, rows, "figure")
    side = {}
    for name in SIDE_BY_SIDE:
        result = results.get(name.replace(", ", " "), {})
        for part, title in (("explained", name), ("codes alone", f"{name}, codes alone")):
            if part in result:
                side[title] = {
                    key: f"{result[part][key]:.3g}"
                    for key in ("latents", "agreement", "effective latents")
                }
                side[title]["completeness"] = f"{result[part]['completeness error']:.1%}"
                side[title] |= scores(planted_out, title) if part == "explained" else {}
    if side:
        note = (
            f"One classifier, 128 held-out images; an iVAE's u is the class. {note} Rule: "
            "means over planted rules and seeds, of `python -m benchmarks.latent_models.planted`"
        )
        write("codes_side_by_side", note, side, "code")


if __name__ == "__main__":
    main()
