import pytest
import torch
from torch import nn

from trimvae.cli.demo_data import (
    DATASETS,
    accuracy,
    breast_cancer,
    dataset_named,
    few_sprites,
    load_classifier,
    new_classifier,
    train_classifier,
)
from trimvae.storage import write_tensors


def test_a_table_has_mean_0_and_deviation_1_in_training():
    data = breast_cancer()
    torch.testing.assert_close(data.train_inputs.mean(dim=0), torch.zeros(30), atol=1e-5, rtol=0)
    torch.testing.assert_close(data.train_inputs.std(dim=0), torch.ones(30))
    assert len(data.feature_names) == 30
    assert len(data.train_inputs) + len(data.test_inputs) == 569


def test_labels_of_sprites_say_where_and_how_large_the_shape_is():
    data = few_sprites()
    images, labels = data.test_inputs[:, 0], data.test_labels
    columns = torch.arange(32.0)
    place = (images.sum(dim=1) * columns).sum(dim=1) / images.sum(dim=(1, 2))
    right = labels % 2 == 1
    assert place[right].min() > place[~right].max() - 1  # to the pixel that a centre may miss
    area = images.sum(dim=(1, 2))
    assert area[labels >= 2].mean() > 1.5 * area[labels < 2].mean()


def test_a_classifier_learns_labels_that_can_be_learned_and_ends_in_eval_mode():
    inputs = torch.randn(256, 4)
    labels = (inputs[:, 0] > 0).long()
    network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    trained = train_classifier(network, inputs, labels, epochs=60, batch_size=16)
    assert not trained.training
    assert accuracy(trained, inputs, labels) > 0.9  # .97 at the least on ten seeds
    assert accuracy(trained, inputs, 1 - labels) < 0.1


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_saved_classifier_is_read_again(tmp_path, dataset):
    classifier = DATASETS[dataset].new_classifier()
    write_tensors(tmp_path / "saved.safetensors", classifier.state_dict(), "classifier", {})
    again = load_classifier(tmp_path / "saved.safetensors", dataset)
    assert not again.training
    for name, value in classifier.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 28, 10), (3, 32, 4)])
def test_the_convolutional_classifier_suits_its_images(channels, size, classes):
    network = new_classifier(channels, size, classes)
    assert network(torch.rand(2, channels, size, size)).shape == (2, classes)


def test_an_unknown_data_set_is_named():
    with pytest.raises(ValueError, match="`dataset` must be one of digits, .*Got 'cats'"):
        dataset_named("cats")


def test_a_damaged_or_foreign_classifier_is_refused(tmp_path):
    path = tmp_path / "saved.safetensors"
    write_tensors(path, DATASETS["sprites"].new_classifier().state_dict(), "classifier", {})
    with pytest.raises(ValueError, match="of the same architecture as this classifier. Got .*save"):
        load_classifier(path, "digits")
    with pytest.raises(ValueError, match="`dataset` must be one of digits"):
        load_classifier(path, "cats")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"Got .*saved.safetensors, which is truncated"):
        load_classifier(path, "sprites")
