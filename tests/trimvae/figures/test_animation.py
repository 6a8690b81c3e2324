"""A traversal that moves."""

import numpy as np
import pytest
from PIL import Image

from tests.trimvae.explanation.made import image_explanation, table_explanation
from trimvae.figures import animate


@pytest.fixture(scope="module")
def table():
    return table_explanation(n_steps=2)


def test_it_moves_there_and_back(table, tmp_path):
    path = animate(table, tmp_path / "moving.gif", frames=4)
    with Image.open(path) as moving:
        assert moving.n_frames == 6
        frames = []
        for index in range(6):
            moving.seek(index)
            frames.append(np.asarray(moving.convert("RGB"), dtype=float))
    assert np.abs(frames[1] - frames[5]).mean() < 1  # the same step on the way back
    assert np.abs(frames[0] - frames[3]).mean() > np.abs(frames[1] - frames[5]).mean()
    assert [item.name for item in tmp_path.iterdir()] == ["moving.gif"]


def test_images_regressions_and_a_chosen_latent_move(table, tmp_path):
    for explanation in (image_explanation(batch=2), table_explanation(outputs=1, n_steps=2)):
        path = animate(explanation, tmp_path / "moving.gif", 1, latent=2, frames=2, fps=5)
        with Image.open(path) as moving:
            assert moving.n_frames == 2
            assert moving.info["duration"] == 200


def test_what_cannot_be_written_is_named_and_leaves_nothing(table, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="`path` must end in .gif or .mp4. Got moving.png"):
        animate(table, tmp_path / "moving.png")
    monkeypatch.setattr("matplotlib.animation.FFMpegWriter.isAvailable", lambda: False)
    with pytest.raises(ValueError, match="`path` must end in .gif where ffmpeg is not installed"):
        animate(table, tmp_path / "moving.mp4")
    with pytest.raises(ValueError, match="`frames` must be at least 1. Got 0"):
        animate(table, tmp_path / "moving.gif", frames=0)
    with pytest.raises(ValueError, match="`latent` must be from 0 to 2. Got 7"):
        animate(table, tmp_path / "moving.gif", latent=7)
    with pytest.raises(ValueError, match="`example` must be from 0 to 11. Got 12"):
        animate(table, tmp_path / "moving.gif", 12)
    assert not list(tmp_path.iterdir())
