"""What was found, in sentences made from the figures."""

from trimvae.explanation.trust import LEAST_AGREEMENT, Weighed


def findings(explanation: Weighed) -> list[str]:
    """What was found, said in sentences that are made from the figures."""
    figures, count = explanation.metrics, len(explanation.inputs)
    used = explanation.top(3)
    needed, size = figures["latents_for_90_percent"], len(explanation.latent_names)
    what = "predictions" if explanation.task == "regression" else "decisions"
    found = []
    if figures["agreement"] < LEAST_AGREEMENT:
        found.append(
            f"Do not rely on this page: agreement is {figures['agreement']:.2f}, so that what "
            "follows is about other inputs than those that the predictor was given."
        )
    found += [
        f"{count} {what} were explained through {size} latents, factors of variation that were "
        "learned from the inputs.",
        f"On average a single one of these {what} rests on {figures['effective_latents']:.1f} "
        f"latents (effective number); {needed:.1f} carry 90 % of its evidence.",
    ]
    for use in used:
        if use.share < 0.05:
            continue
        sentence = f"{use.name} carries {use.share:.0%} of the evidence"
        for_, against = use.speaks_for, use.speaks_against
        if len(explanation.explained_names) > 1 and for_[1] > 0 > against[1]:
            sentence += f": high values speak for {for_[0]}, low values for {against[0]}"
        elif len(explanation.explained_names) == 1:
            sentence += f": high values {'raise' if for_[1] > 0 else 'lower'} the {for_[0]}"
        found.append(sentence + ".")
    if len(explanation.blocks) > 1:
        parts = [
            f"{block.name} {share:.0%}"
            for block, share in zip(explanation.blocks, explanation.block_shares, strict=True)
            if block.kind != "noise"
        ]
        found.append(f"By parts of the code, the evidence is in: {', '.join(parts)}.")
    if explanation.task == "classification":
        found.append(
            f"Encoded and decoded again, {figures['agreement']:.1%} of the inputs are decided "
            "alike; what is said here holds for what the latents can draw."
        )
    else:
        found.append(
            f"Encoded and decoded again, {figures['agreement']:.1%} of the variance of the outputs "
            "remains."
        )
    return found
