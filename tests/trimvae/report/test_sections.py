"""Sections: what a latent looks like, and what makes a class."""

import pytest
import torch

from attributions import Contrast
from tests.trimvae.explanation.made import (
    Identity,
    by_hand,
    image_explanation,
    linear,
    table_explanation,
)
from trimvae import explain
from trimvae.report.sections import class_sections, latent_sections


@pytest.fixture(scope="module")
def rule():
    """The first latent decides; the second example is nearest to the mean."""
    inputs = torch.tensor([[1.0, 2.0, 0.0], [0.1, 0.0, 0.0], [-1.0, -2.0, 0.3], [0.5, 0.0, 0.0]])
    predictor = linear([3.0, 0.0, 0.1], [-3.0, 0.0, 0.0])
    return explain(Identity(), predictor, inputs, class_names=["up", "down"], n_steps=2)


def test_a_latent_moves_at_the_example_nearest_to_the_mean(rule):
    use = rule.top(1)[0]
    section = latent_sections(rule, [use], 40)[0]
    assert section["typical"] == 1
    assert section["use"] == use
    assert [frame.value for frame in section["frames"]] == [
        f"{value:+.1f}" for value in rule.traverse(1, 0, n_steps=5).values.tolist()
    ]
    assert section["frames"][0].said.startswith("down")
    assert section["frames"][-1].said.startswith("up")
    assert section["frames"][0].rows[0][0] == "x0"
    ((value, name),) = section["flips"]
    assert name == "up"
    assert abs(float(value)) < 0.2


def test_an_image_latent_has_seven_pictures():
    images = image_explanation(batch=3)
    section = latent_sections(images, images.top(1), 40)[0]
    assert len(section["frames"]) == 7
    assert all(frame.picture.startswith("data:image/png") for frame in section["frames"])
    assert all(frame.rows == [] for frame in section["frames"])


def test_a_section_of_evidence_alone_has_its_figures_and_no_frames():
    section = latent_sections(by_hand(), by_hand().top(1), 40)[0]
    assert section["frames"] == section["flips"] == []
    sections = class_sections(by_hand(), 40)
    assert [section["attributes"] for section in sections] == [[], [], []]


def test_each_predicted_class_has_its_own_figures():
    sections = class_sections(by_hand(), 40)
    assert [section["name"] for section in sections] == ["a", "b", "c"]
    assert [section["count"] for section in sections] == [2, 1, 1]
    assert [section["agreement"] for section in sections] == [0.5, 1.0, 1.0]
    effective = [section["effective"] for section in sections]
    assert effective == pytest.approx([(9 / 5 + 16 / 6) / 2, 1.0, 1.6])
    assert [use.name for use in sections[2]["top"]] == ["z", "x"]  # y has no share


def test_a_class_shows_what_turns_other_examples_into_it(rule):
    up, down = class_sections(rule, 40)
    assert (up["name"], up["count"]) == ("up", 3)
    attribute = up["attributes"][0]
    assert (attribute["name"], attribute["direction"]) == ("z0", "high")
    assert attribute["effect"].startswith("+")
    assert attribute["flipped"] == "100%"
    assert attribute["columns"][0][0] == "x0"
    assert attribute["pairs"] == []
    assert (down["attributes"][0]["name"], down["attributes"][0]["direction"]) == ("z0", "low")


def test_images_have_pairs_with_what_the_predictor_says_of_both():
    images = image_explanation(classes=2, batch=6)
    found = [
        attribute for section in class_sections(images, 40) for attribute in section["attributes"]
    ]
    assert found
    before, said, after, said_after = found[0]["pairs"][0]
    assert before != after
    assert said != said_after
    assert len(found[0]["pairs"]) <= 3


def test_of_many_classes_the_most_frequent_have_sections():
    rows = [0] * 3 + list(range(1, 40))
    outputs = torch.eye(40)[rows]
    many = by_hand(
        inputs=torch.zeros(42, 2),
        reconstructions=torch.zeros(42, 2),
        outputs=outputs,
        reencoded_outputs=outputs,
        latents=torch.ones(42, 3),
        deviations=torch.ones(42, 3),
        attributions=torch.ones(42, 40, 3),
        total_variation=None,
        explained_at=torch.full((42, 40), 3.0),
        explained_at_baseline=torch.zeros(42, 40),
        latent_share=torch.ones(42),
        class_names=tuple(map(str, range(40))),
    )
    sections = class_sections(many, 40)
    assert [section["index"] for section in sections] == list(range(30))
    assert sections[0]["count"] == 3


def test_a_regression_and_a_contrast_have_no_classes():
    assert class_sections(table_explanation(outputs=1, n_steps=2), 40) == []
    contrast = table_explanation(explained=Contrast(0, 1), n_steps=2)
    assert class_sections(contrast, 40) == []
