"""Damaged files: each reader returns what the file says, or raises an error of ours that names it.

`make test-slow` tries 10,000 changes of every kind of file, `make test` a few. Another seed tries
others: `TRIMVAE_FUZZ_SEED=7 make test-slow`.
"""

import csv
import gzip
import io
import json
import os
import struct
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from tests.trimvae.explanation.made import table_explanation
from trimvae import VAE, fit
from trimvae.cli import runs
from trimvae.data import (
    arrays,
    csv_table,
    dsprites_file,
    fashion_mnist,
    image_folder,
    mpi3d_file,
    shapes3d_file,
)
from trimvae.evaluation.result import Evaluation
from trimvae.explanation.explanation import Explanation
from trimvae.explanation.marks import Recurrence
from trimvae.storage import write_json
from trimvae.training.checkpoints import WholeFiles, check_checkpoint

SEED = int(os.environ.get("TRIMVAE_FUZZ_SEED", "0"))
FEW, MANY = 40, 10_000


class Reader(NamedTuple):
    """A kind of file: how it is written and read, and what it says."""

    write: Callable[[Path], Path]
    """Writes one into a folder, and whatever must stand beside it."""
    read: Callable[[Path], Any]
    """Reads it: numbers, texts, tensors and arrays, in tuples, lists and dicts."""
    says: Callable[[Path], Any] | None = None
    """Reads it in another way, for a kind without checksum; None where every change is found."""


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def digits(*shape: int) -> np.ndarray:
    return random().integers(0, 256, shape).astype(np.uint8)


def write_arrays(folder: Path) -> Path:
    labels, names = np.arange(8) % 2, np.array(["cat", "dog"])
    np.savez(folder / "a.npz", inputs=digits(8, 1, 4, 4), labels=labels, class_names=names)
    return folder / "a.npz"


def write_pictures(suffix: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for name in ("cat", "dog"):
            (folder / name).mkdir()
            Image.fromarray(digits(8, 8)).save(folder / name / f"0.{suffix}")
        return folder / "dog" / f"0.{suffix}"

    return write


def read_pictures(path: Path) -> Any:
    return image_folder(path.parent.parent, size=(8, 8), channels=1, test_share=0.5)


def pictures_say(path: Path) -> Any:
    """The same as Pillow decodes them, where their size is still theirs."""
    parts = read_pictures(path)
    files = [path.parent.parent / name / path.name for name in ("cat", "dog")]
    streams = [io.BytesIO(file.read_bytes()) for file in files]
    found = [np.asarray(Image.open(one).convert("L"), dtype=np.float32) / 255 for one in streams]
    if found[1].shape != (8, 8):
        return parts
    ordered = [torch.from_numpy(found[int(label)]) for label in (parts[1], parts[3])]
    return parts._replace(train_inputs=ordered[0][None, None], test_inputs=ordered[1][None, None])


def write_idx(packed: bool) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        changed = folder / "t10k-labels-idx1-ubyte"
        for prefix, count in (("train", 4), ("t10k", 3)):
            for name, values in (
                ("images-idx3", digits(count, 28, 28)),
                ("labels-idx1", np.arange(count, dtype=np.uint8)),
            ):
                header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
                content = header + values.tobytes()
                path = folder / f"{prefix}-{name}-ubyte"
                if packed:
                    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content, mtime=0))
                else:
                    path.write_bytes(content)
        return changed.with_name(f"{changed.name}.gz") if packed else changed

    return write


def read_idx(path: Path) -> Any:
    return fashion_mnist(path.parent)


def idx_says(path: Path) -> Any:
    """Labels are what stands behind eight bytes."""
    labels = torch.from_numpy(np.frombuffer(path.read_bytes()[8:], np.uint8).copy()).long()
    return read_idx(path)._replace(test_labels=labels)


def rows(*sizes: int) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T


def write_dsprites(folder: Path) -> Path:
    values = rows(1, 2, 1, 1, 1, 2) + 0.5
    np.savez(folder / "d.npz", imgs=digits(4, 4, 4) % 2, latents_values=values)
    return folder / "d.npz"


def write_mpi3d(folder: Path) -> Path:
    np.savez_compressed(folder / "m.npz", images=digits(4, 2, 2, 3))
    return folder / "m.npz"


def write_shapes3d(folder: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "s.h5", "w") as file:
        file["images"], file["labels"] = digits(4, 2, 2, 3), rows(2, 1, 1, 1, 1, 2) / 7
    return folder / "s.h5"


def all_of(data: Any) -> Any:
    return data.images_at(torch.arange(len(data))), data.factors, data.factor_values


def read_mpi3d(path: Path) -> Any:
    return all_of(mpi3d_file(path, factor_sizes=(2, 1, 1, 1, 1, 1, 2)))


def shapes3d_says(path: Path) -> Any:
    import h5py

    with h5py.File(path) as file:
        images, labels = file["images"][:], file["labels"][:]
    _, factors, _ = all_of(shapes3d_file(path))
    names = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    values = {name: tuple(np.unique(labels[:, i]).tolist()) for i, name in enumerate(names)}
    return torch.from_numpy(images).float().movedim(-1, 1) / 255, factors, values


def small_vae() -> VAE:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VAE.dense((4,), 2, hidden=(3,))


def write_code(folder: Path) -> Path:
    small_vae().save(folder / "code.safetensors")
    return folder / "code.safetensors"


def read_code(path: Path) -> Any:
    code = VAE.load(path)
    return code.state_dict(), code.description


def write_explanation(folder: Path) -> Path:
    table_explanation(batch=3, n_steps=2).save(folder / "explanation.safetensors")
    return folder / "explanation.safetensors"


def read_explanation(path: Path) -> Any:
    found = Explanation.load(path)
    return found.tensors(), found.class_names, found.latent_names, found.settings


def write_examples(folder: Path) -> Path:
    runs.save_examples(folder, torch.from_numpy(random().random((5, 3))), torch.arange(5))
    return folder / "examples.safetensors"


ASKED: dict[Path, Any] = {}


def write_checkpoint(folder: Path) -> Path:
    options = {"max_epochs": 1, "checkpoint_dir": folder, "progress": False}
    fit(small_vae(), torch.nn.Linear(4, 2), torch.rand(8, 4), **options)
    path = folder / "last.ckpt"
    ASKED[path] = torch.load(path, weights_only=True)["trimvae"]["asked"]
    return path


def read_checkpoint(path: Path) -> Any:
    check_checkpoint(path, small_vae(), ASKED[path], 2)
    return WholeFiles(path).load_checkpoint(path)["state_dict"]


CONFIGURATION = {
    **runs.MARK, "command": "train", "classifier": "my_model.py:load", "preprocess": None,
    "seed": 3, "codes": 2, "model": "vae", "class_names": ["cat", "d\u00f6g"], "epochs": 7,
}  # fmt: skip


def write_configuration(folder: Path) -> Path:
    write_json(folder / "configuration.json", CONFIGURATION)
    return folder / "configuration.json"


def json_says(path: Path) -> Any:
    return json.loads(path.read_bytes())


def write_consensus(folder: Path) -> Path:
    write_configuration(folder)
    write_json(folder / "consensus.json", {"found_in": [2, 1], "codes": 2, "shares": [0.7, 0.3]})
    return folder / "consensus.json"


def consensus_says(path: Path) -> Any:
    found = json_says(path)
    return Recurrence(tuple(found["found_in"]), found["codes"])


def write_evaluation(folder: Path) -> Path:
    figures = {"agreement": 0.9, "share": 0.25}
    found = Evaluation(
        metrics=figures, by_class={"cat": figures}, by_latent={"z0": figures}, settings={"n": 3}
    )
    write_json(folder / "evaluation.json", found.to_dict())
    return folder / "evaluation.json"


def write_csv(folder: Path) -> Path:
    lines = ["age,colour,price,answer"]
    lines += [
        f"{20 + n},{('red', 'blue')[n % 2]},{n / 4},{('yes', 'no')[n % 3 > 0]}" for n in range(12)
    ]
    (folder / "a.csv").write_text("\n".join(lines) + "\n")
    return folder / "a.csv"


def read_csv(path: Path) -> Any:
    """Columns, how many rows, and the classes."""
    found = csv_table(path, label="answer", test_share=0.5)
    rows = len(found.train_inputs) + len(found.test_inputs)
    return [column.name for column in found.schema.columns], rows, list(found.class_names)


def csv_says(path: Path) -> Any:
    """The same, by the standard library."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = (row for row in csv.reader(file) if row)
    place = header.index("answer")
    return (
        [name for name in header if name != "answer"],
        len(lines),
        sorted({row[place] for row in lines}),
    )


READERS = {
    "arrays": Reader(write_arrays, arrays),
    "png": Reader(write_pictures("png"), read_pictures),
    "jpg": Reader(write_pictures("jpg"), read_pictures, pictures_say),
    "tif": Reader(write_pictures("tif"), read_pictures, pictures_say),
    "idx": Reader(write_idx(packed=False), read_idx, idx_says),
    "idx.gz": Reader(write_idx(packed=True), read_idx),
    "dsprites": Reader(write_dsprites, lambda path: all_of(dsprites_file(path))),
    "mpi3d": Reader(write_mpi3d, read_mpi3d),
    "shapes3d": Reader(write_shapes3d, lambda path: all_of(shapes3d_file(path)), shapes3d_says),
    "csv": Reader(write_csv, read_csv, csv_says),
    "code": Reader(write_code, read_code),
    "explanation": Reader(write_explanation, read_explanation),
    "examples": Reader(write_examples, lambda path: runs.load_examples(path.parent)),
    "checkpoint": Reader(write_checkpoint, read_checkpoint),
    "configuration": Reader(write_configuration, lambda path: runs.open_run(path.parent)[1],
                            json_says),
    "consensus": Reader(write_consensus,
                        lambda path: runs.load_recurrence(path.parent, small_vae()),
                        consensus_says),
    "evaluation": Reader(write_evaluation, lambda path: runs.load_evaluation(path.parent).to_dict(),
                         json_says),
}  # fmt: skip


class Change(NamedTuple):
    """One change of a file's bytes: where, how many are lost, and what comes in their place."""

    place: float
    lost: int
    put: bytes

    def of(self, content: bytes) -> bytes:
        start = int(self.place * len(content))
        return content[:start] + self.put + content[start + self.lost :]


def changes() -> st.SearchStrategy[list[Change]]:
    """One byte replaced; or up to four changes, of bytes replaced, lost, inserted, cut off."""
    place = st.floats(0, 1)
    extreme = st.sampled_from([b"\0", b"\xff", b"\x7f", b"\x80", b"\x01"])
    put = st.binary(min_size=1, max_size=9) | st.builds(bytes.__mul__, extreme, st.integers(1, 8))
    replaced = st.builds(lambda place, put: Change(place, len(put), put), place, put)
    lost = st.builds(Change, place, st.integers(1, 40), st.just(b""))
    inserted = st.builds(Change, place, st.just(0), put)
    cut = st.builds(Change, place, st.just(2**40), st.just(b""))
    one = st.builds(
        lambda place, put: [Change(place, 1, put)], place, st.binary(min_size=1, max_size=1)
    )
    return one | st.lists(replaced | replaced | lost | inserted | cut, min_size=1, max_size=4)


def same(left: Any, right: Any) -> bool:
    """Whether two results are the same, in precision and NaN as well."""
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(
            torch.nan_to_num(left), torch.nan_to_num(right)
        )
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if type(left) is not type(right):
        return False
    if isinstance(left, tuple | list):
        return len(left) == len(right) and all(map(same, left, right))
    return repr(left) == repr(right)


def fuzz(name: str, folder: Path, examples: int) -> Counter[str]:
    """Read a file after each of so many changes; count what became of them."""
    reader = READERS[name]
    path = reader.write(folder)
    whole = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, counts = reader.read(path), Counter[str]()

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @seed(SEED)
    @given(changes())
    def survives(changed: list[Change]) -> None:
        content = whole
        for change in changed:
            content = change.of(content)
        path.write_bytes(content)
        try:
            found, refusal = reader.read(path), ""
        except (ValueError, OSError) as error:  # any other is a failure
            found, refusal = None, str(error)
        if refusal:
            assert refusal.startswith("`"), refusal
            assert str(path.parent) in refusal, refusal
            counts["refused"] += 1
            return
        wanted = expected if content == whole or reader.says is None else reader.says(path)
        assert same(found, wanted)
        counts["read rightly"] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        survives()
    print(f"{name}: {dict(counts)}")
    return counts


@pytest.mark.parametrize("name", READERS)
def test_a_whole_file_is_read_and_a_damaged_one_rightly_or_not_at_all(name, tmp_path):
    assert fuzz(name, tmp_path, FEW)["refused"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_no_damage_of_10_000_gives_a_wrong_result_or_a_foreign_error(name, tmp_path):
    assert fuzz(name, tmp_path, MANY).total() >= MANY
