"""Every figure in one sentence: for the command line, the report and the documentation."""

MEANINGS: dict[str, str] = {
    "agreement": "share of decisions that survive encoding and decoding (of a regression, of the "
    "outputs' variance)",
    "prediction_kl": "how far the predictor's probabilities move when the input is re-encoded, in "
    "nats (of a regression, the mean squared error)",
    "imitation_agreement": "share of decisions that the predictor shares with the imitation of it "
    "that the code was trained through",
    "reconstruction_error": "squared error of the reconstruction, for one input",
    "completeness_error": "how far attributions miss the change of the outputs, of all classes "
    "together",
    "worst_completeness_error": "the same of the class where it is largest, beside its own "
    "change or half of the largest one",
    "effective_latents": "how many latents carry the evidence for one decision",
    "effective_latents_over_data": "how many latents carry the evidence for all decisions together",
    "latents_for_90_percent": "how many latents it takes for 90 % of the evidence of one decision",
    "latent_share": "share of the evidence that the latents carry; the rest is in the residual",
    "attribution_size": "sum of the absolute attributions to the predicted class",
    "monotonicity": "1 where no latent's contribution turns back on the way from the baseline",
    "class_dependence": "how far the class tells which latent is strongest: 0 not at all, 1 fully",
    "class_told": "how far the strongest latent tells the class: 1 where each is strongest in one "
    "class alone",
    "class_dependence_of_class_directions": "the same for trivial axes, which point to the classes",
    "within_class_share": "share of what is said that is about the example, and not its class",
    "classes_per_latent": "in how many predicted classes a latent takes part",
    "majority_share": "share of the most frequent decision, which a code that draws nothing else "
    "agrees with",
    "agreement_where_close": "agreement on the tenth of the examples whose decision is the closest",
    "agreement_where_wrong": "agreement on the examples that the predictor gets wrong",
    "examples_where_wrong": "how many examples the predictor gets wrong",
    "judges_gap": "the predictor's agreement less that of other classifiers: high where "
    "reconstructions hold what it alone takes for a class",
    "agreement_of_judge": "share of the inputs that another classifier decides alike when they are "
    "re-encoded",
    "deletion_score": "how early the output falls when latents are set back, the strongest first: "
    "0 a random order, 1 the best one",
    "insertion_score": "how early it rises when they are put in: 0 a random order, 1 the best one",
    "flip_at": "share of decisions that change when so many of the strongest latents move",
    "flip_at_random": "the same for latents chosen at random",
    "flip_distance": "length of the shortest such move, of half of the examples",
    "counterfactual_validity": "share of decisions that the search for a smallest move of the "
    "latents flips",
    "counterfactual_distance": "length of such a move, in standard deviations of the prior",
    "counterfactual_log_prior_change": "how much less likely the moved latents are, in nats: below "
    "0 where they are",
    "counterfactual_cout": "whether the pixels that it changes most carry the decision over: 1 at "
    "best, -1 at worst",
    "counterfactual_oracle_score": "share of these moves that other classifiers follow",
    "information_flow_of_best_2": "what moving the two strongest latents tells about the decision, "
    "in nats",
    "information_flow_control": "the same where they tell nothing: what finite samples add",
    "sensitivity": "how far attributions change when latents move a little",
    "infidelity": "how far attributions miss what small moves of the latents do",
    "randomised_predictor_rank_correlation": "how alike 20 predictors of random weights are "
    "explained: 0 by chance",
    "randomised_predictor_deviation": "how far one such predictor lies from the next",
    "randomised_predictor_matching": "how often an example is told from another by the explanation "
    "of a random predictor: 0.5 by chance",
    "following": "of the decisions that change where real inputs are changed, the share that the "
    "re-encoded decision follows; a mean over the kinds of change",
    "following_by_chance": "the share that the same re-encoded decisions follow in random order",
    "following_beyond_chance": "the one less the other: below 0 where the code draws another cue "
    "than the predictor reads",
    "real_pairs": "how many pairs of real inputs differ mostly in one latent",
    "real_pairs_correlation": "of these, how far what the predictor says of both goes with what "
    "the latent's attribution says: 1 at best, 0 by chance",
    "latent_correlation": "how far two latents that are used go together in the data: 0 not at all",
    "total_correlation": "how far all latents that are used go together, in nats, as if they were "
    "normal",
    "unmixing_gain": "nats of total correlation that go where latents are turned to independent "
    "directions: about 0 where they are such directions",
    "drawn_variance": "share of what differs between inputs that is drawn: 0 where always the same "
    "is, below 0 where something else is",
    "strength_correlation": "whether the strength of the evidence survives re-encoding, beyond the "
    "class: correlation within classes",
    "weakest_strength": "the same in the class where it is lowest, of those with 20 examples or "
    "more",
    "direction": "1 where more of a latent means the same in every example; 0 where it depends on "
    "other latents, as in exclusive or",
    "reread": "share of a used latent's variance that the encoder reads again from what the "
    "decoder draws, of the lowest",
}
"""By name in `Evaluation.metrics`; of names that end in a number, without it."""


def meaning_of(name: str) -> str:
    """Meaning of a figure in one sentence; empty for one that is not known.

    Examples:
        >>> meaning_of("flip_at_3_random") == MEANINGS["flip_at_random"]
        True
    """
    words = [word for word in name.split("_") if not word.isdigit()]
    return MEANINGS.get(name) or MEANINGS.get("_".join(words), "")
