import subprocess
import sys

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image

import example_records as examples
from gentoolkit.records import Epoch, Finished, Step, Validation
from gentoolkit.report.curves import loss_curve, moving_mean
from gentoolkit.report.figures import CLASSES, MARK, NOISE
from gentoolkit.report.grids import CELL, GAP, LEFT, LINES, TOP
from gentoolkit.report.looks import Look
from gentoolkit.report.pictures import (
    COLUMNS,
    MAX_CLASSES,
    MAX_GENERATED,
    MAX_TIMES,
    SHEET_ALL,
    SHEET_EACH,
    sample_grid,
    sample_sheet,
    trajectory_paths,
)
from gentoolkit.report.points import KERNEL, MARGIN, PANEL, PIXELS, density


def images(n, seed, shape=(2, 8, 8)):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, *shape))).float()


def sets(names, n=4, **kwargs):
    real = {name: images(2, 2 * k, **kwargs) for k, name in enumerate(names)}
    return real, {name: images(n, 2 * k + 1, **kwargs) for k, name in enumerate(names)}


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def expected_colors(image, like):
    """Color-map channel 0 of an image over the range of channel 0 of another."""
    image, like = np.asarray(image[0], np.float64), np.asarray(like[0], np.float64)
    return colormaps["viridis"]((image - like.min()) / (like.max() - like.min()), bytes=True)[..., :3].astype(int)


def assert_panel(picture, row, col, expected, top=TOP):
    """The panel shows every data point as a block of one color, right to one step of the 256-step color map."""
    height, width = expected.shape[:2]
    scale = max(1, round(CELL / max(height, width)))
    top, left = top + row * (height * scale + GAP), LEFT + col * (width * scale + GAP)
    blocks = picture[top : top + height * scale, left : left + width * scale]
    whole = expected.repeat(scale, 0).repeat(scale, 1)
    steps = np.abs(np.diff(colormaps["viridis"](np.arange(256), bytes=True)[:, :3].astype(int), axis=0)).max()
    assert np.abs(blocks - whole).max() <= steps
    assert (blocks == blocks[::scale, ::scale].repeat(scale, 0).repeat(scale, 1)).all()


def test_columns_show_a_real_sample_above_generated_ones(tmp_path):
    real, generated = sets(["0", "1", "7"])
    assert sample_grid(real, generated, tmp_path / "grid.png")
    picture = pixels(tmp_path / "grid.png")
    assert picture.shape == (TOP + (1 + MAX_GENERATED) * (CELL + GAP), LEFT + 3 * (CELL + GAP), 3)
    for col, name in enumerate(real):
        assert_panel(picture, 0, col, expected_colors(real[name][0], real[name][0]))
        for i in range(MAX_GENERATED):
            assert_panel(picture, 1 + i, col, expected_colors(generated[name][i], real[name][0]))


@pytest.mark.parametrize(("n", "columns", "rows"), [(1, 1, 2), (5, 5, 2), (30, COLUMNS, 1 + MAX_GENERATED)])
def test_a_single_class_has_several_columns(tmp_path, n, columns, rows):
    real, generated = ({"all": images(n, seed, shape=(1, 6, 10))} for seed in (0, 1))
    assert sample_grid(real, generated, tmp_path / "grid.png", Look("viridis"))
    picture = pixels(tmp_path / "grid.png")
    # 19 = round(CELL / 10)
    assert picture.shape == (GAP + rows * (6 * 19 + GAP), LEFT + columns * (10 * 19 + GAP), 3)
    for k in range(columns):
        for row, sample in enumerate([real["all"][k], generated["all"][k]]):
            expected = expected_colors(sample, real["all"][0])
            assert_panel(picture, row, k, expected, top=GAP)


def test_many_classes_and_large_samples_stay_within_bounds(tmp_path):
    real, generated = sets([str(k) for k in range(MAX_CLASSES + 3)], n=1, shape=(1, 4, 4))
    sample_grid(real, generated, tmp_path / "grid.png")
    assert pixels(tmp_path / "grid.png").shape == (TOP + 2 * (CELL + GAP), LEFT + MAX_CLASSES * (CELL + GAP), 3)
    real, generated = sets(["all"], n=1, shape=(1, 500, 400))
    sample_grid(real, generated, tmp_path / "large.png")
    assert pixels(tmp_path / "large.png").shape == (GAP + 2 * (500 + GAP), LEFT + 400 + GAP, 3)


@pytest.mark.parametrize("dims", [1, 2, 5])
def test_points_are_drawn(tmp_path, dims):
    real, generated = sets(["0", "1"], n=30, shape=(dims,))
    assert sample_grid(real, generated, tmp_path / "points.png")
    other = {name: points + 0.5 for name, points in generated.items()}
    assert sample_grid(real, other, tmp_path / "other.png")
    assert (pixels(tmp_path / "points.png") != pixels(tmp_path / "other.png")).any()


@pytest.mark.parametrize("shape", [(), (1, 2, 3, 4)])
def test_other_shapes_give_no_picture(tmp_path, shape):
    assert not sample_grid(*sets(["0"], shape=shape), tmp_path / "grid.png")
    assert not sample_sheet(sets(["0"], shape=shape)[0], tmp_path / "grid.png")
    assert not (tmp_path / "grid.png").exists()


def corners(count=40):
    """Points in the plane whose principal components are the coordinates: (±a, ±b), with |a| larger than |b|."""
    rng = np.random.default_rng(5)
    a, b = rng.uniform(1, 4, count), rng.uniform(0.5, 2, count)
    return np.concatenate([np.stack([i * a, j * b], axis=1) for i in (-1, 1) for j in (-1, 1)])


def test_points_of_many_dimensions_are_drawn_in_the_plane_of_their_principal_components(tmp_path):
    """The same picture, within its frame, as of the points in that plane."""
    plane = np.array([[0.8, 0.2, 0.2, 0.2, 0.4], [-0.2, 0.9, 0.1, 0.1, 0]])
    plane = np.linalg.qr(plane.T)[0].T
    plane *= np.sign(plane[[0, 1], np.abs(plane).argmax(axis=1)])[:, None]
    flat, other = corners(), corners() * 0.9
    for name, embed in (("2d", lambda x: x), ("5d", lambda x: x @ plane)):
        assert sample_grid({"all": embed(flat)}, {"all": embed(other)}, tmp_path / f"{name}-grid.png")
        states, file = np.stack([embed(other), embed(flat)]), tmp_path / f"{name}-paths.png"
        assert trajectory_paths(states, [0.0, 1.0], ["all"] * len(flat), file)
    for panel, same in zip(panels(tmp_path / "2d-grid.png"), panels(tmp_path / "5d-grid.png"), strict=True):
        assert_same_but_for_rounding(panel, same)
    paths = (pixels(tmp_path / f"{name}-paths.png")[150:1050, 150:1100] for name in ("2d", "5d"))
    assert_same_but_for_rounding(*paths)


def assert_same_but_for_rounding(one, other):
    """Shades at edges may differ where the rounding of a position decides, but hardly any do; both show something."""
    assert (np.abs(one - other).max(-1) > 8).mean() < 1e-3 < 0.02 < (one != 255).any(-1).mean()


def panels(path):
    """Return the panels of real and of generated points, without their frames."""
    picture = pixels(path)[MARGIN + 5 : MARGIN + PANEL - 5]
    return [picture[:, left + 5 : left + PANEL - 5] for left in (MARGIN, 2 * MARGIN + PANEL)]


def test_generated_points_are_drawn_over_the_density_of_the_real_ones_in_the_colors_of_their_classes(tmp_path):
    real = {"0": corners(), "1": corners() / 2}
    assert sample_grid(real, {name: x[:2] for name, x in real.items()}, tmp_path / "a.png")
    left, right = panels(tmp_path / "a.png")
    gray = [(panel.max(-1) == panel.min(-1)) & (panel.max(-1) < 250) for panel in (left, right)]
    both = gray[0] & gray[1]  # density, and no point in either panel
    assert both.sum() > 1000
    assert (left[both] == right[both]).all()
    for color in CLASSES[:2]:
        rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        many, few = ((np.abs(panel - rgb).sum(-1) < 90).sum() for panel in (left, right))
        assert many > 5 * few > 0  # 160 points of each class on the left, two on the right


def test_the_density_is_a_sum_of_gaussian_kernels():
    points, limits = np.array([[0.0, 0.0], [0.2, 0.1], [-0.3, 0.4]]), np.array([[-1.0, -2.0], [1.0, 2.0]])
    found = density(points, limits)
    y, x = np.mgrid[-2 : 2 : PIXELS * 1j, -1 : 1 : PIXELS * 1j]
    sums = sum(np.exp(-(((x - a) / (2 * KERNEL)) ** 2 + ((y - b) / (4 * KERNEL)) ** 2) / 2) for a, b in points)
    np.testing.assert_allclose(found, sums / sums.max(), atol=1e-12)


def test_sequences_are_lines_with_a_color_for_each_channel(tmp_path):
    real, generated = sets(["0", "1"], shape=(2, 30))
    assert sample_grid(real, generated, tmp_path / "a.png")
    width, height = LINES
    assert pixels(tmp_path / "a.png").shape == (TOP + 4 * (height + GAP), LEFT + 2 * (width + GAP), 3)
    assert all(has_color(tmp_path / "a.png", color) for color in CLASSES[:2])
    assert not has_color(tmp_path / "a.png", CLASSES[2])
    same = {name: x[:1].repeat(3, 1, 1) for name, x in real.items()}
    sample_grid(real, same, tmp_path / "b.png")
    cells = {file: pixels(tmp_path / file)[TOP:, LEFT:].reshape(4, height + GAP, -1, 3) for file in ("a.png", "b.png")}
    difference = {file: np.abs(rows - rows[:1])[1:].mean() for file, rows in cells.items()}
    # Measured: 0.07 from the rounding of positions for equal rows, and over 10 for other sequences.
    assert difference["b.png"] < 1 < 10 < difference["a.png"]
    assert sample_grid(*sets(["0"], shape=(1, 1)), tmp_path / "c.png")


def test_sequences_are_drawn_at_a_few_times_on_their_way(tmp_path):
    states = np.random.default_rng(0).normal(size=(21, 3, 1, 16))
    states[5, 0, 0, 3] = np.nan
    assert trajectory_paths(states, np.linspace(0, 1, 21), ["0", "1", "2"], tmp_path / "a.png")
    width, height = LINES
    assert pixels(tmp_path / "a.png").shape == (TOP + 3 * (height + GAP), LEFT + MAX_TIMES * (width + GAP), 3)
    other = states.copy()
    other[1:4] += 1  # between the times that are drawn: 0, 4, 8, 12, 16, 20
    trajectory_paths(other, np.linspace(0, 1, 21), ["0", "1", "2"], tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_sheet_has_a_column_of_images_for_each_class(tmp_path):
    samples = {"0": images(9, 0, (1, 8, 8)), "1": images(3, 1, (1, 8, 8))}
    assert sample_sheet(samples, tmp_path / "a.png", Look("viridis"))
    picture = pixels(tmp_path / "a.png")
    assert picture.shape == (TOP + SHEET_EACH * (CELL + GAP), GAP + 2 * (CELL + GAP), 3)
    shifted = np.pad(picture, ((0, 0), (LEFT - GAP, 0), (0, 0)))
    for col, x in enumerate(samples.values()):
        for row in range(min(len(x), SHEET_EACH)):
            assert_panel(shifted, row, col, expected_colors(x[row], x[0]))


def test_a_sheet_without_classes_fills_rows(tmp_path):
    samples = images(SHEET_ALL + 5, 0, (1, 8, 8))
    assert sample_sheet({"all": samples}, tmp_path / "a.png", Look("viridis", (-4.0, 4.0)))
    picture = pixels(tmp_path / "a.png")
    assert picture.shape == (GAP + 4 * (CELL + GAP), GAP + COLUMNS * (CELL + GAP), 3)
    shifted = np.pad(picture, ((TOP - GAP, 0), (LEFT - GAP, 0), (0, 0)))
    assert_panel(shifted, 0, 1, expected_colors(samples[1], samples[1]))
    assert sample_sheet({"all": samples[:3]}, tmp_path / "few.png")


@pytest.mark.parametrize("shape", [(1,), (2,), (5,), (2, 30)])
def test_a_sheet_of_points_or_sequences_is_drawn(tmp_path, shape):
    for name, seed in (("a", 0), ("b", 1)):
        assert sample_sheet({"0": images(20, seed, shape), "1": images(5, 2, shape)}, tmp_path / f"{name}.png")
    assert (pixels(tmp_path / "a.png") != pixels(tmp_path / "b.png")).any()


def test_samples_without_numbers_and_odd_names_are_drawn(tmp_path):
    real, generated = sets(["$x^{$ & <b>"])
    generated["$x^{$ & <b>"][0] = torch.nan
    real["$x^{$ & <b>"][:] = 1.0
    assert sample_grid(real, generated, tmp_path / "grid.png")
    assert sample_grid(*sets(["$x^{$"], shape=(2,)), tmp_path / "points.png")


def first_tile(path, height, width):
    scale = CELL // max(height, width)
    return pixels(path)[TOP : TOP + height * scale : scale, LEFT : LEFT + width * scale : scale]


def test_images_of_one_channel_are_grey_and_of_three_in_color_over_the_declared_range(tmp_path):
    ramp = torch.linspace(-1.5, 1.5, 16).reshape(4, 4)
    for channels in ([ramp], [ramp, ramp.T, -ramp]):
        image = {"0": torch.stack(channels)[None]}
        assert sample_grid(image, image, tmp_path / "grid.png", Look(value_range=(-1.0, 1.0)))
        exact = ((torch.stack(channels * 3)[:3] + 1) / 2).clamp(0, 1).permute(1, 2, 0) * 255
        assert np.abs(first_tile(tmp_path / "grid.png", 4, 4) - exact.numpy()).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_data_with_a_colormap_is_no_image_whatever_its_channels(tmp_path, channels):
    real, generated = sets(["0"], shape=(channels, 4, 4))
    assert sample_grid(real, generated, tmp_path / "grid.png", Look("viridis", (-1.0, 1.0)))
    assert_panel(pixels(tmp_path / "grid.png"), 0, 0, expected_colors(real["0"][0], real["0"][0]), top=GAP)


def test_images_without_a_range_take_that_of_a_real_sample(tmp_path):
    real, generated = sets(["0"], shape=(3, 4, 4))
    assert sample_grid(real, generated, tmp_path / "grid.png")
    image = real["0"][0]
    exact = ((image - image.min()) / (image.max() - image.min())).permute(1, 2, 0) * 255
    assert np.abs(first_tile(tmp_path / "grid.png", 4, 4) - exact.numpy()).max() <= 1


def ways(n=6, steps=5, dims=2):
    start = np.random.default_rng(1).normal(size=(n, dims))
    return np.stack([(1 - t) * start + 2 * t for t in np.linspace(0, 1, steps)])


@pytest.mark.parametrize("dims", [1, 2, 5])
def test_the_paths_of_points_are_drawn_in_the_colors_of_their_classes(tmp_path, dims):
    labels = ["0", "1"] * 3
    assert trajectory_paths(ways(dims=dims), np.linspace(0, 1, 5), labels, tmp_path / "a.png")
    assert all(has_color(tmp_path / "a.png", color) for color in (NOISE, *CLASSES[:2]))
    assert not has_color(tmp_path / "a.png", CLASSES[2])
    trajectory_paths(ways(dims=dims), np.linspace(0, 1, 5), labels, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_paths_without_numbers_are_drawn_and_other_shapes_are_not(tmp_path):
    bad = ways()
    bad[2:, 0] = np.nan
    assert trajectory_paths(bad, np.linspace(0, 1, 5), ["$x^{$"] * 6, tmp_path / "a.png")
    for shape in ((3, 2), (3, 2, 1, 4, 4), (0, 2, 2), (3, 0, 2)):
        assert not trajectory_paths(np.zeros(shape), np.zeros(shape[0]), ["all"] * shape[1], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def curve(path, best=None, *, validations=(), extra=(), losses=(2.0, 1.0, 0.5, 0.4)):
    records = [Step(step=k + 1, loss=9.0, velocity_error=loss) for k, loss in enumerate(losses)]
    records += [Validation(step=step, loss=loss, loss_by_t=[], path="linear") for step, loss in validations]
    if best is not None:
        reference = examples.reference_loss("exact field", best, [])
        records.append(examples.evaluation(examples.loss(0.45, [], reference=reference)))
    return loss_curve([*extra, *records], path)


def has_color(path, color):
    return (pixels(path) == [int(color[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=-1).any()


def test_the_curve_shows_validations_and_the_reference_where_there_are_any(tmp_path):
    plain, validated, best = tmp_path / "plain.png", tmp_path / "validated.png", tmp_path / "best.png"
    assert curve(plain)
    assert curve(validated, validations=[(4, 0.45)])
    assert curve(best, 0.3)
    assert not has_color(plain, MARK)
    assert has_color(validated, MARK)
    assert plain.read_bytes() != best.read_bytes()


def test_what_can_not_be_drawn_is_left_out(tmp_path):
    extra = [
        Epoch(epoch=1, step=2, loss=7.0),
        Step(step=9, loss=None),
        Step(step=9, loss=float("nan")),
        Step(step=9, loss=0.0),
        Finished(seconds={}),
    ]
    curve(tmp_path / "a.png")
    curve(tmp_path / "b.png", extra=extra)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert not loss_curve(extra, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_the_moving_mean_by_hand():
    values = np.array([4.0, 2, 0, 6, 2, 1, 0, 3, 5])
    # Nine values: up to round(sqrt(9) / 2) = 2 on either side, fewer at the start on both, at the end on the right.
    assert moving_mean(values).tolist() == [4, 2, 14 / 5, 11 / 5, 9 / 5, 12 / 5, 11 / 5, 9 / 4, 8 / 3]


def test_the_moving_mean_of_a_line_follows_it_but_at_the_end():
    line = np.arange(400.0)
    np.testing.assert_allclose(moving_mean(line)[:390], line[:390])
    assert len(moving_mean(np.array([]))) == 0


def test_equal_input_gives_equal_files_without_a_maker_or_a_date(tmp_path):
    for name in ("a", "b"):
        curve(tmp_path / f"{name}-curve.png", 0.3)
        sample_grid(*sets(["0", "1"]), tmp_path / f"{name}-grid.png")
    for kind in ("curve", "grid"):
        assert (tmp_path / f"a-{kind}.png").read_bytes() == (tmp_path / f"b-{kind}.png").read_bytes()
        with Image.open(tmp_path / f"a-{kind}.png") as picture:
            assert set(picture.info) <= {"dpi"}


def test_importing_is_cheap_and_drawing_needs_no_pyplot(tmp_path):
    code = f"""
import sys, gentoolkit.report as report
assert not {{"torch", "matplotlib", "PIL"}} & set(sys.modules), "imported at once"
from gentoolkit.records import Step
report.loss_curve([Step(step=1, loss=1.0)], {str(tmp_path / "curve.png")!r})
assert "matplotlib.pyplot" not in sys.modules, "pyplot"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
