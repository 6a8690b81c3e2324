import pytest
import torch

from trimvae.files import read_tensors, replacing, write_json, write_tensors


def test_a_write_that_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"agreement": 1})
    with pytest.raises(OSError, match="disk full"), replacing(path) as temporary:  # noqa: PT012
        temporary.write_text('{"agree')
        raise OSError("disk full")
    assert path.read_text() == '{\n  "agreement": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_and_texts_come_back_as_they_were(tmp_path):
    path = tmp_path / "file"
    column = torch.arange(6.0).view(2, 3)[:, 1]  # not contiguous
    write_tensors(path, {"column": column}, "test", {"name": "ç", "nothing": None})
    tensors, texts = read_tensors(path, "test")
    assert torch.equal(tensors["column"], column)
    assert texts == {"name": "ç", "nothing": None}


def test_a_file_of_another_kind_is_refused(tmp_path):
    write_tensors(tmp_path / "file", {"a": torch.zeros(1)}, "VAE", {})
    with pytest.raises(ValueError, match="must be a file that Explanation.save wrote"):
        read_tensors(tmp_path / "file", "Explanation")
