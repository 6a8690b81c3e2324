import torch

from trimvae.cli.opening import absolute_data, read_data


def test_sprites_are_data_of_the_command_line():
    parts = read_data("sprites", seed=0, grey=False)
    assert parts.train_inputs.shape == (16_000, 1, 32, 32)
    assert parts.train_labels is None
    again = read_data("sprites", seed=0, grey=False)
    assert torch.equal(parts.test_inputs, again.test_inputs)


def test_words_for_data_stay_and_paths_become_absolute(folder):
    for word in ("digits", "sprites", "fashion"):
        assert absolute_data(word) == word
    assert absolute_data("fashion:idx") == f"fashion:{folder}/idx"
    assert absolute_data("table.npz") == f"{folder}/table.npz"
    assert absolute_data("a::b/file:table.npz") == f"{folder}/a::b/file:table.npz"


def test_data_of_a_relative_path_are_read(folder):
    parts = read_data("table.npz", seed=0, grey=False)
    assert parts.test_inputs.shape == (20, 6)
    assert parts.class_names == ("red", "green", "blü")
