import pytest

from tests.trimvae.explanation.made import by_hand
from trimvae.explanation.frames import as_frame


def test_rows_run_over_examples_then_latents():
    frame = as_frame(by_hand(), all_classes=False)
    assert list(frame.columns) == [
        "example", "predicted", "explained", "latent", "value", "attribution",
    ]  # fmt: skip
    assert frame.example.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert frame.latent.tolist() == ["x", "y", "z"] * 4
    assert frame.predicted.tolist() == ["a"] * 6 + ["b"] * 3 + ["c"] * 3
    assert frame.explained.tolist() == frame.predicted.tolist()
    assert frame.attribution.tolist() == [2, 1, 0, 1, -1, 2, 0, 4, 0, -2, 0, 6]
    assert frame.value.tolist() == [1, 2, 0, 2, 1, 1, 0, 3, 2, 1, 0, -1]


def test_all_classes_have_rows_of_their_own():
    frame = as_frame(by_hand(), all_classes=True)
    assert len(frame) == 4 * 3 * 3
    row = frame[(frame.example == 3) & (frame.explained == "b") & (frame.latent == "z")].iloc[0]
    assert row.attribution == pytest.approx(1)
    assert row.predicted == "c"
