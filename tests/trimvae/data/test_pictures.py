import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from trimvae.data import image_folder

TRUE = torch.tensor(np.random.default_rng(0).integers(0, 256, (30, 40)).astype(np.uint8))


def save(path, values=TRUE, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = values if isinstance(values, Image.Image) else Image.fromarray(np.asarray(values))
    picture.save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """Two classes of two pictures each."""
    for name in ("cat", "dog"):
        for index in range(2):
            save(tmp_path / "pictures" / name / f"{index}.png")
    return tmp_path / "pictures"


def read(folder, **options) -> torch.Tensor:
    """All pictures of a folder, in no order."""
    parts = image_folder(folder, test_share=0.5, **{"channels": 1, **options})
    return torch.cat([parts.train_inputs, parts.test_inputs])


def shown(folder, **options) -> torch.Tensor:
    """What the one picture of the class `new` becomes, beside another that is black."""
    black = folder / "0 black" / "0.png"
    size = options.get("size", (30, 40))
    save(black, Image.new("L", size[::-1]))
    parts = image_folder(folder, size=size, test_share=0.5, channels=options.get("channels", 1))
    images = torch.cat([parts.train_inputs, parts.test_inputs])
    labels = torch.cat([parts.train_labels, parts.test_labels])
    return images[labels == 1][0]


def test_a_folder_of_images_has_one_subfolder_per_class(tmp_path):
    for name, colour in {"red": (255, 0, 0), "blue": (0, 0, 255)}.items():
        for index in range(3):
            save(tmp_path / name / f"{index}.png", Image.new("RGB", (40, 30), colour))
    parts = image_folder(tmp_path, size=(32, 28), test_share=0.5)
    assert parts.class_names == ("blue", "red")
    assert parts.train_inputs.shape == (3, 3, 32, 28)
    pixel = parts.test_inputs[0, :, 0, 0].tolist()
    assert pixel == ([0, 0, 1] if parts.test_labels[0] == 0 else [1, 0, 0])
    assert image_folder(tmp_path, channels=1).train_inputs.shape[1:] == (1, 30, 40)
    with pytest.raises(ValueError, match="`channels` must be 1 or 3"):
        image_folder(tmp_path, channels=2)
    with pytest.raises(FileNotFoundError, match="one subfolder of images per class"):
        image_folder(tmp_path / "red")


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_16_bits_keep_their_precision(tmp_path, suffix, channels):
    values = np.arange(1200, dtype=np.uint16).reshape(30, 40) * 54
    save(tmp_path / "new" / f"0.{suffix}", values)
    found = shown(tmp_path, channels=channels)
    assert found.shape == (channels, 30, 40)
    torch.testing.assert_close(found[-1], torch.from_numpy(values / 65535).float())


def test_pixels_whose_range_is_unknown_are_refused(tmp_path):
    save(tmp_path / "new" / "0.tif", np.ones((30, 40), dtype=np.float32))
    with pytest.raises(ValueError, match=r"Got .*new/0.tif \(pixels of 32 bits \(F\), whose range"):
        image_folder(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda seen: seen),
        (2, lambda seen: seen.flip(1)),
        (3, lambda seen: seen.flip(0, 1)),
        (4, lambda seen: seen.flip(0)),
        (5, lambda seen: seen.T),
        (6, lambda seen: seen.rot90(-1)),
        (7, lambda seen: seen.flip(0, 1).T),
        (8, lambda seen: seen.rot90(1)),
    ],
)
def test_pictures_are_turned_as_their_exif_data_say(tmp_path, suffix, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    save(tmp_path / "new" / f"0.{suffix}", Image.fromarray(TRUE.numpy()), exif=exif, **options)
    expected = turn(TRUE)
    found = shown(tmp_path, size=tuple(expected.shape))
    torch.testing.assert_close(found[0], expected / 255, atol=0.005, rtol=0)
    save(tmp_path / "0 black" / "0.png", Image.new("L", tuple(expected.T.shape)))
    assert read(tmp_path).shape[1:] == (1, *expected.shape)  # the size that it is shown in


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L"])
def test_transparent_pixels_are_white_and_not_what_they_hide(tmp_path, mode):
    hidden = {"RGBA": (9, 200, 30, 0), "LA": (40, 0), "P": 3, "L": 40}[mode]
    picture = Image.new(mode, (40, 30), hidden)
    options = {"transparency": hidden} if mode in ("P", "L") else {}
    if mode == "P":
        picture.putpalette([0, 0, 0, 50, 50, 50, 90, 90, 90, 10, 20, 30])
    save(tmp_path / "new" / "0.png", picture, **options)
    assert (shown(tmp_path, channels=3) == 1).all()
    half = Image.new("RGBA", (40, 30), (0, 0, 0, 51))
    save(tmp_path / "new" / "0.png", half)
    assert shown(tmp_path, channels=3).unique().tolist() == pytest.approx([0.8])


def test_hidden_folders_and_files_are_no_classes(folder):
    save(folder / ".thumbnails" / "0.png")
    save(folder / "cat" / ".cache" / "0.png")
    (folder / "cat" / "._0.png").write_bytes(b"of another system")
    (folder / "cat" / "notes.txt").write_text("of the user")
    parts = image_folder(folder, test_share=0.5)
    assert parts.class_names == ("cat", "dog")
    assert len(parts.train_inputs) + len(parts.test_inputs) == 4


def test_every_file_is_read_once_however_many_links_lead_to_it(folder):
    (folder / "cat" / "loop").symlink_to(folder)
    (folder / "cat" / "self").symlink_to(folder / "cat")
    (folder / "cat" / "others").symlink_to(folder / "dog")
    (folder / "cat" / "again.png").symlink_to(folder / "cat" / "0.png")
    (folder / "cat" / "hard.png").hardlink_to(folder / "cat" / "1.png")
    parts = image_folder(folder, test_share=0.5)
    assert torch.bincount(torch.cat([parts.train_labels, parts.test_labels])).tolist() == [2, 2]


def test_pictures_elsewhere_are_found_through_links(folder, tmp_path):
    save(tmp_path / "elsewhere" / "deep" / "0.png")
    (folder / "dog" / "more").symlink_to(tmp_path / "elsewhere")
    assert len(read(folder)) == 5


def test_a_picture_of_two_classes_is_refused(folder):
    (folder / "dog" / "0.png").unlink()
    (folder / "dog" / "0.png").symlink_to(folder / "cat" / "0.png")
    with pytest.raises(ValueError, match="Got .*dog/0.png, which is .*cat/0.png as well"):
        image_folder(folder)


def test_a_class_without_pictures_and_a_missing_folder_are_named(folder, tmp_path):
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="Got .*pictures, without pictures in empty"):
        image_folder(folder)
    with pytest.raises(FileNotFoundError, match="Got .*nowhere, which is no folder"):
        image_folder(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(FileNotFoundError, match="Got .*bare, without subfolders"):
        image_folder(tmp_path / "bare")
    (folder / "empty" / "0.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(ValueError, match=r"must hold whole pictures. Got .*empty/0.png"):
        image_folder(folder)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size and has next to nothing."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(b"0")), (b"IEND", b"")):
        checksum = zlib.crc32(kind + content)
        parts += [struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)]
    return b"".join(parts)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"no picture",
        lambda content: content[:60] + b"\0\0\0\0" + content[64:],
        lambda content: png_of_size(100_000, 100_000),  # refused by Pillow
        lambda content: png_of_size(10_000, 10_000),  # at which it warns
    ],
    ids=["truncated", "empty", "text", "changed", "oversized", "large"],
)
@pytest.mark.parametrize("options", [{}, {"size": (30, 40)}], ids=["any size", "one size"])
def test_a_damaged_picture_is_named(folder, damage, options):
    path = folder / "dog" / "1.png"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"`folder` must hold whole pictures. Got .*dog/1.png \("):
        image_folder(folder, **options)


def test_the_size_of_most_pictures_is_that_of_all_and_said(folder):
    save(folder / "cat" / "00 first.png", Image.new("L", (8, 9)))
    with pytest.warns(UserWarning, match="Got 2 sizes in .* all become 30 x 40, which 4 of 5 are"):
        assert read(folder).shape == (5, 1, 30, 40)
    assert read(folder, size=(16, 16)).shape == (5, 1, 16, 16)
    save(folder / "cat" / "0.png", Image.new("L", (8, 9)))
    save(folder / "cat" / "1.png", Image.new("L", (4, 4)))
    with pytest.warns(UserWarning, match="Got 3 sizes in .* all become 9 x 8, which 2 of 5 are"):
        read(folder)


def test_a_picture_without_some_of_its_rows_is_named(tmp_path):
    save(tmp_path / "new" / "0.tif")
    content = (tmp_path / "new" / "0.tif").read_bytes()
    rows_per_strip = struct.pack("<HHII", 278, 4, 1, 30)
    assert content.count(rows_per_strip) == 1
    fewer = content.replace(rows_per_strip, struct.pack("<HHII", 278, 4, 1, 2))
    (tmp_path / "new" / "0.tif").write_bytes(fewer)
    with pytest.raises(ValueError, match=r"Got .*new/0.tif \(80 of 40 x 30 pixels\)"):
        image_folder(tmp_path)
