"""Planted rules with several classes: are the axes of an explanation factors, or classes?

Classifiers of many classes over known factors of sprites (`class_rules`) are explained through
VAEs that know nothing of them, along every arm's axes (`arms`). Codes are trained once and serve
all rules, classifiers and arms; neither codes nor classifiers have seen the held-out sprites that
are explained.

- correlation: the largest |correlation| of an axis with each factor of the rule (for the shape,
  the correlation ratio);
- MIG, over all sprites, of the four factors and of those of the rule;
- strongest: between two classes that differ in one factor, how often the strongest axis of the
  contrast is the axis that correlates most with that factor;
- class dependence: mutual information of the strongest axis of an example and its class;
- effective latents, of an example and of all together; agreement; reconstruction error;
- two trainings: same strongest axis, cosine and correlation within classes of the explanations
  of one classifier that the codes of one seed and of the next give.

Means with 95 % intervals over the seeds of the codes (a figure of a seed is its mean over the
classifiers), and the paired differences from the same codes as trained. What was computed is kept
in --out, so that an interrupted run goes on, and another arm needs no other training. Two processes
can share the work by --objectives; --table writes the tables afterwards.

    python -m benchmarks.planted_rules.classes --seeds 0 1 2 3 4
"""

import argparse
import functools
import itertools
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attributions.codes import Code, encode
from attributions.measures import class_dependence
from benchmarks.planted_rules.arms import ARMS, AS_TRAINED, seen
from benchmarks.planted_rules.class_rules import (
    CLASS_RULES,
    ClassRule,
    class_effects,
    plant,
    training_data,
    used,
)
from benchmarks.planted_rules.rules import COLUMNS, DATA, FACTORS, Planted
from benchmarks.planted_rules.run import objective
from benchmarks.planted_rules.scores import correlations, strongest_is_factors
from benchmarks.planted_rules.settings import BATCH, LATENTS, key
from benchmarks.sizes import new_parser, results_folder, sized
from benchmarks.tables import interval, write
from trimvae import VAE, Explanation, explain, fit
from trimvae.metrics import mig
from trimvae.models import ALAE, InfoGAN
from trimvae.storage import replacing

# A step of FactorVAE reads two batches.
EPOCHS = {"beta-TCVAE (6, gamma 4)": sized(13, 1), "FactorVAE (10)": sized(20, 1)}
# Played without the classifier. InfoGAN's codes are read by its own recogniser, without noise.
GAMES: dict[str, Callable[[], Any]] = {
    "InfoGAN": lambda: InfoGAN(
        (1, 32, 32), n_categories=3, n_continuous=5, noise_size=16, inversion_steps=0
    ),
    "ALAE": lambda: ALAE((1, 32, 32), LATENTS),
}
GAME_EPOCHS = sized(6, 1)
# Classifiers see other sprites than codes do: their seeds begin here.
FIRST_CLASSIFIER = 100
N_EXPLAINED, N_STEPS = sized((300, 16), (32, 4))
OF_TWO = {
    "same_strongest": "same strongest",
    "attribution_cosine": "attribution cosine",
    "within_class_correlation": "within-class correlation",
}


class Case(NamedTuple):
    """One explanation: of which classifier, through which code, along which axes."""

    rule: str
    classifier: int
    objective: str
    arm: str
    seed: int


class Bench:
    """What is computed once and used often: classifiers, codes, explanations, figures."""

    def __init__(self, out: Path, *, again: bool = False) -> None:
        self.out, self.again = out, again
        self.out.mkdir(parents=True, exist_ok=True)
        # Of every seed, since the first and the last are compared as well.
        self.explained = functools.lru_cache(maxsize=16)(self._explained)

    def planted(self, rule: str, classifier: int) -> Planted:
        """A classifier that was kept, or a new one, which is."""
        kept = self.out / f"{key('classifier', rule, classifier)}.safetensors"
        return plant(CLASS_RULES[rule], FIRST_CLASSIFIER + classifier, kept)

    def code(self, name: str, seed: int) -> Any:
        """A code that was kept, or a new one, which is."""
        kept = self.out / f"{key('code', name, seed)}.safetensors"
        torch.manual_seed(seed)
        if name in GAMES:
            code = GAMES[name]()
            options: dict[str, Any] = {"max_epochs": GAME_EPOCHS}
        else:
            code = VAE.convolutional((1, 32, 32), LATENTS, channels=16, hidden=128)
            options = {"objective": objective(name), "max_epochs": EPOCHS[name]}
            options |= {"learning_rate": 2e-3}
        if kept.exists():
            return type(code).load(kept)
        options |= {"batch_size": BATCH, "prediction_weight": 0.0, "seed": seed}
        fit(code, None, training_data(seed)[1], progress=False, **options)
        code.save(kept)
        return code

    def of_classifier(self, rule: str, classifier: int) -> dict[str, float]:
        """What a classifier has learned of its rule."""

        def compute() -> dict[str, float]:
            planted, truth = self.planted(rule, classifier), CLASS_RULES[rule].between
            right = (used(class_effects(planted.classifier, CLASS_RULES[rule])) == truth).all(dim=2)
            others = ~torch.eye(len(truth), dtype=torch.bool)
            as_ruled = float(right[others].double().mean())
            return {"accuracy": planted.accuracy, "used as ruled": as_ruled}

        return self._kept(key("of classifier", rule, classifier), compute)

    def of_one(self, case: Case) -> dict[str, float]:
        """Figures of one explanation."""
        return self._kept(key(*case), lambda: self._figures(case))

    def of_two(self, case: Case, other: Case) -> dict[str, float]:
        """Figures of two explanations of one classifier, through the codes of two seeds."""

        def compute() -> dict[str, float]:
            compared = self.explained(case)[1].compare(self.explained(other)[1])
            return {shown: getattr(compared, name) for name, shown in OF_TWO.items()}

        return self._kept(key(*case, "and", other.seed), compute)

    def _kept(self, name: str, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
        path = self.out / f"{name}.json"
        if self.again or not path.exists():
            with replacing(path) as new:
                new.write_text(json.dumps(compute()))
        kept: dict[str, float] = json.loads(path.read_text())
        return kept

    def _explained(self, case: Case) -> tuple[Code, Explanation]:
        planted = self.planted(case.rule, case.classifier)
        vae = self.code(case.objective, case.seed)
        code = seen(case.arm, vae, planted.classifier, training_data(case.seed)[1])
        inputs = planted.test_inputs[:N_EXPLAINED]
        return code, explain(code, planted.classifier, inputs, n_steps=N_STEPS)

    def _figures(self, case: Case) -> dict[str, float]:
        code, explanation = self.explained(case)
        planted = self.planted(case.rule, case.classifier)
        return figures(code, explanation, planted, CLASS_RULES[case.rule])


def figures(
    code: Any, explanation: Explanation, planted: Planted, rule: ClassRule
) -> dict[str, float]:
    """Of a code, on the held-out sprites, and of the explanation of some of them."""
    latents = latents_of(code, planted.test_inputs)
    correlation = correlations(latents, planted.test_factors[:, COLUMNS])
    strongest = strongest_is_factors(
        explanation.attributions, explanation.predicted, correlation, rule
    )
    places = [FACTORS.index(name) for name in rule.relevant]
    # The whole grid, in which independent latents tell next to nothing by chance.
    everywhere = latents_of(code, DATA.images_at(range(len(DATA))))
    factors = DATA.factors[:, COLUMNS]
    kept = ("effective_latents", "effective_latents_over_data", "agreement", "reconstruction_error")
    return {
        **{f"correlation: {FACTORS[i]}": float(correlation[:, i].max()) for i in places},
        **{f"strongest: {name}": share for name, share in strongest.items()},
        "MIG": mig(everywhere, factors),
        "MIG of the rule's": mig(everywhere, factors[:, places]),
        "class dependence": float(
            class_dependence(explanation.target_attributions, explanation.predicted)
        ),
        **{name.replace("_", " "): explanation.metrics[name] for name in kept},
    }


def latents_of(code: Any, images: Tensor) -> Tensor:
    """Latents of images, a part at a time."""
    with torch.no_grad():
        return torch.cat([encode(code, part).latents for part in images.split(512)])


def of_seeds(
    bench: Bench, arguments: argparse.Namespace, rule: str, name: str, arm: str
) -> list[dict[str, float]]:
    """Figures of every seed, means over classifiers."""
    cases = [
        [Case(rule, classifier, name, arm, seed) for classifier in range(arguments.classifiers)]
        for seed in arguments.seeds
    ]
    found = []
    for here, after in zip(cases, [*cases[1:], cases[0]], strict=True):
        results = [bench.of_one(case) for case in here]
        if len(cases) > 1:
            pairs = zip(results, here, after, strict=True)
            results = [one | bench.of_two(case, other) for one, case, other in pairs]
        found.append({name: statistics.mean(r[name] for r in results) for name in results[0]})
    return found


def tabulate(bench: Bench, arguments: argparse.Namespace) -> None:
    """Write two tables for each rule: figures, and what an arm changes."""
    seeds = " ".join(map(str, arguments.seeds))
    for rule in arguments.rules:
        learned = [bench.of_classifier(rule, one) for one in range(arguments.classifiers)]
        accuracies, as_ruled = (
            " and ".join(f"{each[name]:.3g}" for each in learned)
            for name in ("accuracy", "used as ruled")
        )
        rows, changes = {}, {}
        for name, arm in itertools.product(arguments.objectives, arguments.arms):
            ours = of_seeds(bench, arguments, rule, name, arm)
            rows[f"{name}; {arm}"] = {
                column: interval([each[column] for each in ours]) for column in ours[0]
            }
            if arm != AS_TRAINED:
                before = of_seeds(bench, arguments, rule, name, AS_TRAINED)
                changes[f"{name}; {arm}"] = {
                    column: interval(
                        [a[column] - b[column] for a, b in zip(ours, before, strict=True)],
                        sign=True,
                    )
                    for column in ours[0]
                }
        note = (
            f'Rule "{rule}": {CLASS_RULES[rule].n_classes} classes of '
            f"{', '.join(CLASS_RULES[rule].relevant)}. "
            f"Accuracy of the classifiers {accuracies}; pairs of classes between which they use "
            f"the rule's factors and no others {as_ruled}. Mean and 95 % interval over codes of "
            f"seeds {seeds}, {LATENTS} latents, {N_EXPLAINED} held-out sprites. "
            f"`python -m benchmarks.planted_rules.classes --seeds {seeds}`"
        )
        stem = f"planted_classes_{rule.replace(' ', '_')}"
        if set(arguments.objectives) <= set(GAMES):
            stem += "_games"
            games = " ".join(arguments.objectives)
            note = note.replace("classes --seeds", f"classes --objectives {games} --seeds")
        write(stem, note, rows, "code; axes")
        if changes:
            write(f"{stem}_paired", f"Less the same code as trained. {note}", changes, "code; axes")


def main() -> None:
    parser = new_parser(__doc__, seeds=list(range(5)))
    parser.add_argument("--out", type=Path, default=results_folder("planted_classes"))
    parser.add_argument("--rules", nargs="+", default=list(CLASS_RULES), choices=list(CLASS_RULES))
    parser.add_argument("--objectives", nargs="+", default=list(EPOCHS), choices=[*EPOCHS, *GAMES])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--classifiers", type=int, default=sized(2, 1), help="of each rule")
    parser.add_argument("--table", action="store_true", help="only write the tables")
    parser.add_argument("--again", action="store_true", help="take the figures anew")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(arguments.out, again=arguments.again and not arguments.table)
    for rule, name, arm in itertools.product(
        [] if arguments.table else arguments.rules, arguments.objectives, arguments.arms
    ):
        found = of_seeds(bench, arguments, rule, name, arm)
        for seed, result in zip(arguments.seeds, found, strict=True):
            shown = {figure: round(value, 3) for figure, value in result.items()}
            print(rule, name, arm, seed, shown, flush=True)
    bench.again = False
    tabulate(bench, arguments)


if __name__ == "__main__":
    main()
