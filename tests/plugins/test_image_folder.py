"""Images from a folder: which pixels become which samples, and what is told of files that can't be used."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from building import built
from gentoolkit.api import Array, Labels
from gentoolkit.errors import RecipeError, UsageError
from gentoolkit.recipe import load_recipe

SPLITS = ("train", "held_out")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A cache of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "gentoolkit" / "images"


def folder_of(folder, images, form="PNG"):
    """Write images to a folder and return it."""
    folder.mkdir(exist_ok=True)
    for i, image in enumerate(images):
        image.save(folder / f"{i}.{form.lower()}", form)
    return folder


@pytest.fixture
def folder(tmp_path):
    """Twelve images in which the brightness of image i is 20 i."""
    return folder_of(tmp_path / "images", [Image.new("RGB", (9, 7), (20 * i,) * 3) for i in range(12)])


def images(folder, split="train", **fields):
    fields = {"image_size": 4, "held_out": 0.3, **fields}
    return built("dataset", "image_folder", {"split": split, "seed": 0}, folder=str(folder), **fields)


def everything(dataset):
    return dataset.batch(np.arange(len(dataset)))


def sample(tmp_path, image, form="PNG", **fields):
    """Return what becomes of an image, which is in a folder twelve times."""
    return everything(images(folder_of(tmp_path / "copies", [image] * 12, form), **fields)).x1[0]


def picture(*pixels):
    """Return a gray image with rows of pixels."""
    return Image.fromarray(np.array(pixels, dtype=np.uint8))


def numbers(x):
    """Return the numbers of images of `folder`."""
    return ((x.mean(dim=(1, 2, 3)) + 1) * 127.5 / 20).round().int().tolist()


def test_samples_are_squares_with_values_in_minus_one_to_one_and_each_image_is_in_one_split(folder):
    both = [everything(images(folder, split)).x1 for split in SPLITS]
    assert all(x.shape[1:] == (3, 4, 4) and x.dtype == torch.float32 and x.is_contiguous() for x in both)
    assert sorted(numbers(torch.cat(both))) == list(range(12))
    assert torch.cat(both).min() == -1
    assert everything(images(folder, color="gray")).x1.shape[1:] == (1, 4, 4)


def test_pixels_keep_their_values_places_and_channels(tmp_path):
    pixels = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3) * 5
    expected = torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1
    assert torch.equal(sample(tmp_path, Image.fromarray(pixels)), expected)


@pytest.mark.parametrize("upright", [True, False])
def test_the_center_is_cropped(tmp_path, upright):
    pixels = np.zeros((12, 4), dtype=np.uint8)
    pixels[4:8] = 255
    assert (sample(tmp_path, Image.fromarray(pixels if upright else pixels.T)) == 1).all()


def test_without_a_crop_the_whole_image_is_seen(tmp_path):
    x = sample(tmp_path, picture(*[[0] * 4 + [255] * 4] * 4), crop="none")
    assert (x[:, :, 0] < -0.9).all()
    assert (x[:, :, 3] > 0.9).all()


def test_shorter_side_is_the_scale_at_which_is_cropped(tmp_path):
    pixels = np.zeros((12, 12), dtype=np.uint8)
    pixels[4:8, 4:8] = 255
    assert (sample(tmp_path, Image.fromarray(pixels), shorter_side=12) == 1).all()


def test_random_crops_and_mirror_images_are_samples_of_training_alone(tmp_path):
    ramp = picture(*[list(range(0, 240, 6))] * 4)  # 40 x 4 pixels, brighter on the right
    folder = folder_of(tmp_path / "images", [ramp] * 12)
    train, held_out = (images(folder, split, crop="random", views=5, flip=True) for split in SPLITS)
    assert len(train) == 10 * len(train.names)
    assert len(held_out) == len(held_out.names)
    x = everything(train).x1[:, 0]
    left = torch.minimum(x[:, 0, 0], x[:, 0, 3])
    views = x.view(10, len(train.names), 4, 4)
    assert torch.equal(views[::2], views[1::2].flip(3))
    assert len(left.unique()) > len(train) // 4  # positions differ from crop to crop and from image to image
    assert left.min() < -0.6 < 0.2 < left.max()  # from one end to the other
    again = images(folder, crop="random", views=5, flip=True)
    assert torch.equal(again.batch(np.array([7, 3, 7])).x1[:, 0], x[[7, 3, 7]])


def test_a_photo_taken_sideways_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the first row of the file is on the right
    stream = io.BytesIO()
    picture([255] * 4, *[[0] * 4] * 3).save(stream, "PNG", exif=exif)
    (tmp_path / "photos").mkdir()
    for i in range(12):
        (tmp_path / "photos" / f"{i}.PNG").write_bytes(stream.getvalue())
    x = everything(images(tmp_path / "photos")).x1
    assert (x[:, :, :, 3] == 1).all()
    assert (x[:, :, :, :3] == -1).all()


def test_a_large_photo_is_decoded_at_a_fraction_of_its_size_to_nearly_the_same_image(tmp_path):
    y, x = np.mgrid[:400, :400] / 400
    photo = Image.fromarray(np.uint8(127 * (1 + np.sin(9 * x + 5 * y * y)))).convert("RGB")
    exact = sample(tmp_path, photo, image_size=16)
    for file in (tmp_path / "copies").iterdir():
        file.unlink()
    small = sample(tmp_path, photo, "JPEG", image_size=16)
    assert (small - exact).abs().max() < 0.06  # measured: 0.03, of which JPEG itself makes 0.01


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "YCbCr"]


@pytest.mark.parametrize("mode", MODES)
def test_images_of_any_usual_mode_are_read(tmp_path, mode):
    white = Image.new("RGB", (5, 5), (255, 255, 255)).convert(mode)
    x = sample(tmp_path, white, "TIFF" if mode == "YCbCr" else "PNG")
    assert (x == 1).all()


@pytest.mark.parametrize(("background", "value"), [("white", 1), ("black", -1)])
def test_transparent_pixels_show_the_background(tmp_path, background, value):
    x = sample(tmp_path, Image.new("RGBA", (4, 4), (200, 0, 0, 0)), background=background)
    assert (x == value).all()


def test_labels_are_the_names_of_subfolders_in_their_order(tmp_path):
    for name, brightness in (("b", 200), ("a", 100), ("c/deeper", 0)):
        (tmp_path / name).mkdir(parents=True)
        folder_of(tmp_path / name, [Image.new("L", (4, 4), brightness)] * 6)
    for split in SPLITS:
        batch = everything(images(tmp_path, split, labels=True))
        assert torch.equal(batch.condition, torch.tensor([2, 0, 1])[((batch.x1[:, 0, 0, 0] + 1) * 1.275).round().int()])


def test_a_table_has_labels_or_conditions(folder, tmp_path):
    rows = [f"{i},{'even' if i % 2 == 0 else 'odd'},{i}.png,{-i / 2}" for i in reversed(range(12))]
    (tmp_path / "t.csv").write_text("\n".join(["number,parity,file,other", *rows]))
    table = {"table": str(tmp_path / "t.csv")}
    batch = everything(images(folder, label="parity", **table))
    assert batch.condition.tolist() == [number % 2 for number in numbers(batch.x1)]
    batch = everything(images(folder, conditions=("other", "number"), flip=True, **table))
    assert batch.condition.tolist() == [[-number / 2, number] for number in numbers(batch.x1)]
    assert batch.condition.dtype == torch.float32


def test_the_spec_follows_the_folder(folder, tmp_path):
    def spec(**fields):
        settings = {"type": "image_folder", "folder": str(folder), "held_out": 0.3, **fields}
        return load_recipe(
            "recipes/smoke.yaml", [f"dataset={json.dumps(settings)}", "train.condition_dropout=0"]
        ).data_spec

    assert spec().shape == (3, 32, 32)
    assert spec().condition is None
    assert spec(color="gray", image_size=16).shape == (1, 16, 16)
    (tmp_path / "t.csv").write_text("\n".join(["file,x,y", *(f"{i}.png,{i},{i % 3}" for i in range(12))]))
    assert spec(table=str(tmp_path / "t.csv"), conditions=["x", "y"]).condition == Array((2,))
    assert spec(table=str(tmp_path / "t.csv"), label="y").condition == Labels(3)


def test_new_images_move_none_to_the_other_split(folder):
    before = [images(folder, split).names for split in SPLITS]
    for i in range(30):
        Image.new("L", (4, 4)).save(folder / f"new{i}.png")
    for names, split in zip(before, SPLITS, strict=True):
        assert [name for name in images(folder, split).names if "new" not in name] == names


def test_other_files_are_ignored(folder):
    (folder / "notes.txt").write_text("notes")
    (folder / ".0.png").write_bytes(b"")
    (folder / ".thumbnails").mkdir()
    (folder / ".thumbnails" / "0.png").write_bytes(b"")
    assert sum(len(images(folder, split)) for split in SPLITS) == 12


def encoded(image, form="PNG", **settings):
    stream = io.BytesIO()
    image.save(stream, form, **settings)
    return stream.getvalue()


def png(width, height, depth=8, color=2, content=b""):
    """Return a PNG file that says what it wants of its size and type."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
GIF, PNG, JPEG, BMP, WEBP, TIFF = (encoded(NOISE, form) for form in ("GIF", "PNG", "JPEG", "BMP", "WEBP", "TIFF"))
FRAMES = [Image.new("RGB", (8, 8), (i, 0, 0)) for i in (0, 255)]
MOVING = {"save_all": True, "append_images": FRAMES[1:]}

#: Files that can't be used, with what is told of each.
UNUSABLE = {
    "empty.png": (b"", "is empty"),
    "empty.jpg": (b"", "is empty"),
    "text.jpg": (b"not an image", "is not an image that Pillow can read"),
    "page.png": (b"<!DOCTYPE html><html>404 Not Found</html>", "is not an image that Pillow can read"),
    "zeros.png": (bytes(1000), "is not an image that Pillow can read"),
    "signature.png": (PNG[:8], "is"),
    "header.png": (PNG[:33], "is"),
    "half.png": (PNG[: len(PNG) // 2], "is damaged: "),
    "half.jpg": (JPEG[: len(JPEG) // 2], "is damaged: image file is truncated"),
    "end.jpg": (JPEG[:-500], "is damaged: image file is truncated"),
    "signature.jpg": (JPEG[:3], "is"),
    "half.gif": (GIF[: len(GIF) // 2], "is damaged: "),
    "half.bmp": (BMP[: len(BMP) // 2], "is damaged: image file is truncated"),
    "half.webp": (WEBP[: len(WEBP) // 2], "is"),
    "half.tif": (TIFF[: len(TIFF) // 2], "is"),
    "half.ppm": (encoded(NOISE, "PPM")[:5000], "is damaged: "),
    "checksum.png": (PNG[:60] + bytes(50) + PNG[110:], "is damaged: "),
    "flipped.png": (PNG[:20] + b"\xff" + PNG[21:], "is"),
    "no_pixels.png": (png(8, 8), "is damaged: image file is truncated"),
    "no_width.png": (png(0, 8), "is"),
    "bomb.png": (png(60_000, 60_000), "has more than "),
    "large.png": (png(12_000, 9_000), "has more than 89,478,485 pixels"),
    "moving.gif": (encoded(FRAMES[0], "GIF", **MOVING), "is animated: it has 2 frames"),
    "moving.png": (encoded(FRAMES[0], "PNG", **MOVING), "is animated: it has 2 frames"),
    "moving.webp": (encoded(FRAMES[0], "WEBP", **MOVING), "is animated: it has 2 frames"),
    "pages.tif": (encoded(FRAMES[0], "TIFF", **MOVING), "is animated: it has 2 frames"),
    "gray16.png": (
        encoded(Image.fromarray(np.zeros((8, 8), np.uint16))),
        "has more than 8 bits per channel; convert it",
    ),
    "color16.png": (png(2, 1, 16, 2, bytes(13)), "has more than 8 bits per channel; convert it to 8 bits"),
    "float.tif": (encoded(Image.fromarray(np.zeros((8, 8), np.float32)), "TIFF"), "has more than 8 bits per channel"),
    "cmyk.jpg": (encoded(Image.new("CMYK", (8, 8)), "JPEG"), "has the color space CMYK; convert it to RGB"),
    "lab.tif": (encoded(Image.new("LAB", (8, 8)), "TIFF"), "has the color space LAB; convert it to RGB"),
    "clear.png": (encoded(Image.new("RGBA", (8, 8))), "has transparent pixels; set background"),
    "key.png": (encoded(Image.new("P", (8, 8)), transparency=0), "has transparent pixels; set background"),
    "clear.webp": (encoded(Image.new("RGBA", (8, 8)), "WEBP"), "has transparent pixels; set background"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_file_that_can_not_be_used_is_named_and_refused_or_skipped(folder, name):
    content, expected = UNUSABLE[name]
    (folder / name).write_bytes(content)
    with pytest.raises(UsageError) as told:
        images(folder)
    first, second = str(told.value).splitlines()
    assert first.startswith(f"{folder}: images that can't be used: 1 of 13; ")
    assert second.startswith(f"  {name}: {expected}")
    for split in SPLITS:
        with pytest.warns(UserWarning, match="skipped images: 1: " + name):
            assert name not in images(folder, split, unusable="skip").names


def test_a_link_to_nothing_is_named(folder):
    (folder / "x.png").symlink_to(folder / "gone.png")
    with pytest.raises(UsageError, match=r"x\.png: can't be read: No such file"):
        images(folder)


def test_files_are_tried_once_until_one_changes(folder, cache):
    images(folder)
    (file,) = cache.iterdir()
    file.write_text('{"3.png": "is said to be bad"}')
    with pytest.raises(UsageError, match=r"3\.png: is said to be bad"):
        images(folder)
    file.write_text("{")
    assert images(folder)
    (folder / "3.png").write_bytes(b"now bad")
    with pytest.raises(UsageError, match=r"3\.png: is not an image"):
        images(folder)


def test_the_cache_can_be_missing(folder, cache):
    cache.parent.mkdir()
    cache.write_text("a file")
    assert images(folder)


def test_a_file_that_is_damaged_in_training_is_named(folder):
    dataset = images(folder)
    (folder / dataset.names[0]).write_bytes(b"")
    with pytest.raises(UsageError, match=dataset.names[0] + ": is empty"):
        everything(dataset)


#: Settings, a table, and what is told of them.
WRONG = {
    "no label": ({"labels": True}, "", "images in no subfolder, which would be their label: 12; 0.png; 1.png; 10.png"),
    "held out": ({"held_out": 1e-9}, "", "0 of the 12 images are held out with held_out 1e-09, so a split is empty"),
    "no table": ({"label": "x"}, "", "table needs either label or conditions, and these need table"),
    "two": ({"label": "x", "labels": True}, "file,x", "set only one of labels, label and conditions"),
    "crop": ({"image_size": 8, "shorter_side": 7}, "", "shorter_side needs a crop, and must be at least image_size"),
    "no column": ({"label": "x"}, "file,y\n0.png,1", "has no column 'x'; its columns are file, y"),
    "no file": ({"label": "x"}, "name,x\n0.png,1", "has no column 'file'; its columns are name, x"),
    "no row": ({"label": "x"}, "file,x\n0.png,1", "does not fit the images in FOLDER; 1.png: has no row"),
    "no image": ({"label": "x"}, "file,x\n99.png,1", "line 2: there is no image 99.png"),
    "twice": ({"label": "x"}, "file,x\n0.png,1\n./0.png,1", "line 3: 0.png has a row already"),
    "empty": ({"label": "x"}, "file,x\n0.png,", "line 2, column 'x': is empty"),
    "text": ({"conditions": ["x"]}, "file,x\n0.png,red", "line 2, column 'x': 'red' is not a number"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_in_a_sentence_before_anything_starts(folder, tmp_path, wrong):
    fields, table, expected = WRONG[wrong]
    if table:
        (tmp_path / "t.csv").write_text(table)
        fields = {**fields, "table": str(tmp_path / "t.csv")}
    settings = json.dumps({"type": "image_folder", "folder": str(folder), "held_out": 0.3, **fields})
    with pytest.raises(RecipeError) as error:
        load_recipe("recipes/smoke.yaml", [f"dataset={settings}", "train.condition_dropout=0"])
    assert expected.replace("FOLDER", str(folder)) in error.value.problems[0]


@pytest.mark.parametrize(("files", "expected"), [({}, "it is empty"), ({"a.heic": b"", "b.HEIC": b""}, "2 .heic")])
def test_a_folder_without_images_is_told(tmp_path, files, expected):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=expected):
        images(tmp_path)
