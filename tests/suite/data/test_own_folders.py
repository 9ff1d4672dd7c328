"""A user's own folders of image files: depths, shapes, what is left out; what is wrong is said in one line."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from suite.data.pixels import FITS
from suite.data.sets import available, load


@pytest.fixture
def folder(tmp_path):
    """Five classes, 6 training and 2 validation images each; red names the class, blue runs from left to right."""
    root = tmp_path / "pictures"
    for part, count in (("train", 6), ("val", 2)):
        for label in range(5):
            place = root / part / f"class{label}"
            place.mkdir(parents=True)
            for index in range(count):
                pixels = np.zeros((12, 12, 3), np.uint8)
                pixels[..., 0], pixels[..., 1], pixels[..., 2] = 40 * label, 10 * index, np.arange(12)
                Image.fromarray(pixels).save(place / f"{index}.png")
    return root


def folder_of(root: Path, *arrays: np.ndarray, ending: str = "png") -> str:
    """A folder of two classes with the images `arrays`, all in each part and class; its name as a data set."""
    for place in (root / part / label for part in ("train", "val") for label in ("a", "b")):
        place.mkdir(parents=True)
        for number, pixels in enumerate(arrays):
            Image.fromarray(pixels).save(place / f"{number}.{ending}")
    return f"folder:{root}"


def png16(path: Path, pixels: np.ndarray) -> None:
    """Write uint16 [H, W, 3] as a PNG of 16 bits a channel, which Pillow reads and does not write."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows))]
    data = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in [*chunks, (b"IEND", b"")]
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def test_a_folder_is_read_with_its_classes_in_order(folder, tmp_path):
    dataset = load(f"folder:{folder}?size=8", tmp_path)
    assert dataset.name == "folder:pictures?size=8"
    assert tuple(dataset.x_train.shape) == (30, 3, 8, 8)
    assert torch.equal(dataset.y_test, torch.arange(5).repeat_interleave(2))
    assert torch.equal(dataset.x_train[:, 0, 4, 4].long(), 40 * dataset.y_train)
    assert load(f"folder:{folder}", tmp_path).size == 64


def test_a_size_nobody_asked_for_is_said(folder, tmp_path):
    usual, asked, as_is = (load(f"folder:{folder}{option}", tmp_path) for option in ("", "?size=8", "?size=12"))
    assert "resized to 64 x 64" in usual.source
    assert [note.startswith("resized to 64 x 64") for note in usual.notes] == [True]
    assert "resized to 8 x 8" in asked.source
    assert "resized" not in as_is.source
    assert asked.notes == as_is.notes == ()


@pytest.mark.parametrize("fit", ["", *FITS])
def test_wide_images_are_fitted_as_asked_and_padded_otherwise(tmp_path, fit):
    """3 : 1, and what tells the classes apart stands at the left edge."""
    wide = np.random.default_rng(0).integers(1, 200, (8, 24, 3), dtype=np.uint8)
    wide[:, :8] = 255
    dataset = load(folder_of(tmp_path / "wide", wide) + "?size=24", tmp_path, fit=fit)
    image = dataset.x_train[0].permute(1, 2, 0).numpy()
    if fit == "crop":
        assert image.max() < 255
    elif fit == "stretch":
        assert (image[:, :7] == 255).all()
    else:
        assert np.array_equal(image[8:16], wide)
        assert not image[:8].any()
        assert not image[16:].any()
    assert FITS[fit or "pad"] in dataset.source
    assert "24 wide, 8 high" in dataset.source
    assert [FITS["pad"] in note for note in dataset.notes] == ([] if fit else [True])


def test_square_images_are_the_same_whatever_the_fit(folder, tmp_path):
    made = [load(f"folder:{folder}?size=8", tmp_path, fit=fit) for fit in ("", *FITS)]
    assert len({(dataset.digest, dataset.source, dataset.notes) for dataset in made}) == 1


def test_a_line_of_pixels_is_padded_and_not_lost(tmp_path):
    line = np.arange(200, dtype=np.uint8)[None]
    image = load(folder_of(tmp_path / "line", line) + "?size=8", tmp_path).x_train[0]
    assert [int(row.max()) > 0 for row in image[0]].count(True) == 1


@pytest.mark.parametrize(
    ("kind", "ending", "top", "bits"),
    [
        (np.uint16, "png", 65535, 16),
        (np.uint16, "tif", 65535, 16),
        (np.uint16, "tif", 4095, 12),
        (np.uint16, "png", 200, 8),
        (np.int32, "tif", 100_000, 17),
    ],
)
def test_grey_of_more_than_eight_bits_is_scaled_and_not_clipped(tmp_path, kind, ending, top, bits):
    pixels = np.linspace(0, top, 64).astype(kind).reshape(8, 8)
    dark = pixels // 4
    dataset = load(folder_of(tmp_path / "deep", pixels, dark, ending=ending) + "?size=8", tmp_path)
    for image, given in zip(dataset.x_train[:2], (pixels, dark), strict=True):  # one scale for the bright and the dark
        shown = np.rint(given * (255 / (2**bits - 1)))
        assert np.array_equal(image.numpy(), np.broadcast_to(shown, (3, 8, 8)))
    assert f"({bits} bits)" in dataset.source


def test_float_pixels_from_zero_to_one_are_scaled(tmp_path):
    pixels = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    dataset = load(folder_of(tmp_path / "float", pixels, ending="tif") + "?size=8", tmp_path)
    assert np.array_equal(dataset.x_train[0, 0], np.rint(pixels * 255))
    assert "float pixels" in dataset.source


def test_sixteen_bit_colour_keeps_its_upper_bits_and_says_so(tmp_path, said):
    spec = folder_of(tmp_path / "deep", np.arange(64, dtype=np.uint8).reshape(8, 8))
    pixels = np.random.default_rng(0).integers(0, 65536, (8, 8, 3))
    for file in (tmp_path / "deep").rglob("*.png"):
        png16(file, pixels)
    dataset = load(f"{spec}?size=8", tmp_path)
    assert np.abs(dataset.x_train[0].permute(1, 2, 0).numpy() - pixels / 257).max() <= 1
    assert "16-bit colour" in dataset.source
    for file in (tmp_path / "deep").rglob("*.png"):
        png16(file, pixels // 16)
    assert "only 15 of 255" in said(spec, tmp_path)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.linspace(0, 812, 64, dtype=np.float32).reshape(8, 8), "from 0 to 812"),
        (np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8), "from -1 to 1"),
        (np.full((8, 8), np.nan, np.float32), "NaN"),
        (np.arange(-9, 55, dtype=np.int32).reshape(8, 8), "from -9 to 54"),
    ],
)
def test_pixels_that_no_scale_is_known_for_are_refused_with_their_file(tmp_path, said, pixels, words):
    line = said(folder_of(tmp_path / "odd", pixels, ending="tif"), tmp_path)
    assert str(tmp_path / "odd" / "train" / "a" / "0.tif") in line
    assert words in line


@pytest.mark.parametrize("pixels", [np.full((8, 6, 3), 7, np.uint8), np.full((8, 8), 999, np.uint16)])
@pytest.mark.parametrize("part", ["train", "val"])
def test_a_part_whose_images_are_all_constant_is_refused(tmp_path, said, pixels, part):
    varied = np.arange(pixels.size, dtype=pixels.dtype).reshape(pixels.shape)
    spec = folder_of(tmp_path / "flat", varied)
    for file in (tmp_path / "flat" / part).rglob("*.png"):
        Image.fromarray(pixels).save(file)
    assert str(tmp_path / "flat" / part) in said(spec, tmp_path)
    Image.fromarray(varied).save(file)  # one that is not constant is enough
    assert load(spec, tmp_path).classes == 2


def test_floats_that_eight_bits_would_not_hold_apart_are_refused(tmp_path, said):
    twice = np.linspace(0, 1 / 255, 64, dtype=np.float32).reshape(8, 8)
    assert "[0, 1]" in said(folder_of(tmp_path / "twice", twice, ending="tif"), tmp_path)


def test_transparency_and_further_frames_are_counted(tmp_path):
    opaque = np.full((8, 8, 4), 255, np.uint8)
    opaque[..., 0] = np.arange(8)
    clear = opaque.copy()
    clear[0, 0, 3] = 0
    spec = folder_of(tmp_path / "clear", opaque, clear)
    frames = [Image.fromarray(opaque[..., :3]), Image.fromarray(clear[..., 1:])]
    frames[0].save(tmp_path / "clear" / "train" / "a" / "pages.tif", save_all=True, append_images=frames[1:])
    dataset = load(f"{spec}?size=8", tmp_path)
    for words in (dataset.source, *dataset.notes):
        assert "further frames of 1 image" in words
        assert "transparency of 4 images" in words
    assert torch.equal(dataset.x_train[0], dataset.x_train[1])


def test_what_is_left_out_is_counted_and_said(folder, tmp_path):
    whole = load(f"folder:{folder}?size=8", tmp_path)
    train, val = folder / "train", folder / "val"
    image = (train / "class0" / "0.png").read_bytes()
    for place in (train / "class1" / "patient" / "left", train / ".ipynb_checkpoints", val / "class9", folder / "test"):
        place.mkdir(parents=True)
    for place in (train / "class1" / "patient" / "left", train / ".ipynb_checkpoints", val / "class9", val):
        (place / "0.png").write_bytes(image)
    for number in range(3):
        (folder / "test" / f"{number}.png").write_bytes(image)
    for name in ("._0.png", ".DS_Store"):
        (val / "class2" / name).write_bytes(b"\0\5\x16\7")
    for place in (train / "class3" / "Thumbs.db", train / "notes.txt"):
        place.write_bytes(b"x")
    dataset = load(f"folder:{folder}?size=8", tmp_path)
    assert dataset.digest == whole.digest
    assert whole.notes == ()
    [note] = dataset.notes
    for words in (
        *("1 image in folders below", "1 image outside", "class class9 of val (1 image)", "3 images in test"),
        *("3 hidden files or folders", "2 files that are no image (.db, .txt)"),
    ):
        assert words in note
        assert words in dataset.source


def test_images_that_lie_only_in_deeper_folders_are_pointed_at(folder, tmp_path, said):
    place = folder / "train" / "class1"
    (place / "patient").mkdir()
    for file in place.glob("*.png"):
        file.rename(place / "patient" / file.name)
    assert "6 images in folders below" in said(f"folder:{folder}", tmp_path)


def test_classes_and_fractions_are_drawn_from_the_seed(folder, tmp_path):
    def read(options: str) -> tuple[tuple[int, ...], int, int]:
        dataset = load(f"folder:{folder}?size=4&{options}", tmp_path)
        values = tuple(dataset.x_train[:, 0, 0, 0].unique().tolist())
        return values, len(dataset.y_train), len(dataset.y_test)

    assert read("classes=3&seed=1") == read("classes=3&seed=1")
    assert len({read(f"classes=2&seed={seed}")[0] for seed in range(8)}) > 1
    classes, train, test = read("classes=2&fraction=0.5")
    assert (len(classes), train, test) == (2, 6, 4)
    assert read("fraction=0.001")[1] == 5


def test_test_stands_in_for_val(folder, tmp_path):
    (folder / "val").rename(folder / "test")
    assert available(f"folder:{folder}?classes=2", tmp_path)
    assert len(load(f"folder:{folder}?size=4", tmp_path).y_test) == 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("sizes=8", "did you mean 'size'"),
        ("size=8.5", "size='8.5'"),
        ("fraction=2", "from 0 to 1"),
        ("classes=0", "from 1"),
        ("seed=", "seed=''"),
        ("fraction=nan", "from 0 to 1"),
        ("classes=9", "5 classes"),
        ("classes=2&classes=3", "option classes is given twice"),
    ],
)
def test_an_unusable_option_is_named(folder, tmp_path, options, words, said):
    assert words in said(f"folder:{folder}?{options}", tmp_path)


def test_what_is_wrong_with_a_folder_is_said(folder, tmp_path, said):
    assert "no-such" in said("folder:no-such", tmp_path)
    broken = folder / "train" / "class3" / "2.png"
    broken.write_bytes(broken.read_bytes()[:40])
    assert str(broken) in said(f"folder:{folder}", tmp_path)
    broken.unlink()
    for image in (folder / "val" / "class1").iterdir():
        image.unlink()
    assert str(folder / "val" / "class1") in said(f"folder:{folder}", tmp_path)
    (folder / "val").rename(folder / "validation")
    assert "has no folder 'val'" in said(f"folder:{folder}", tmp_path)
