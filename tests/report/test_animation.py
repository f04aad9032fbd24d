import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from gentoolkit.report.animation import (
    CELL,
    COLORS,
    COLUMNS,
    FRAME_MS,
    GAP,
    LAST_FRAME_MS,
    LINE,
    MAX_FRAMES,
    trajectory_gif,
)
from gentoolkit.report.looks import Look


def states(steps, n=4, shape=(4, 32, 32)):
    """Straight lines from noise to smooth samples."""
    rng = np.random.default_rng(0)
    noise, wave = rng.normal(size=(n, *shape)), np.sin(np.linspace(0, 6, shape[-1]))
    return np.stack([(1 - t) * noise + t * wave for t in np.linspace(0, 1, steps)])


def frames(path):
    with Image.open(path) as gif:
        for k in range(gif.n_frames):
            gif.seek(k)
            yield np.asarray(gif.convert("RGB")).astype(int), gif.info


def draw(path, array, labels=None, look=None):
    times = np.linspace(0, 1, len(array)).tolist()
    return trajectory_gif(array, times, labels or [str(k) for k in range(array.shape[1])], path, look or Look())


def test_every_state_is_a_frame_and_the_last_one_stays(tmp_path):
    assert draw(tmp_path / "a.gif", states(21))
    found = [(info["duration"], info.get("loop")) for _, info in frames(tmp_path / "a.gif")]
    assert [duration for duration, _ in found] == [FRAME_MS] * 20 + [LAST_FRAME_MS]
    assert found[0][1] == 0  # for ever
    assert (tmp_path / "a.gif").stat().st_size < 1_000_000


def test_tiles_show_channel_0_in_viridis_over_the_range_of_the_last_frame(tmp_path):
    array = states(3)
    draw(tmp_path / "a.gif", array)
    scale = CELL // 32
    low, high = array[-1, :, 0].min(axis=(1, 2)), array[-1, :, 0].max(axis=(1, 2))
    for k, (picture, _) in enumerate(frames(tmp_path / "a.gif")):
        assert picture.shape == (LINE + CELL + LINE + GAP // 2, GAP + 4 * (CELL + GAP), 3)
        for i in range(4):
            level = ((array[k, i, 0] - low[i]) / (high[i] - low[i])).clip(0, 1)
            # The palette has COLORS steps, so rounding to them is all that may differ.
            exact = colormaps["viridis"]((level * (COLORS - 1)).round() / (COLORS - 1), bytes=True)[..., :3]
            left = GAP + i * (CELL + GAP)
            tile = picture[LINE : LINE + CELL, left : left + CELL]
            assert (tile == exact.astype(int).repeat(scale, 0).repeat(scale, 1)).all()


def test_the_time_stands_in_the_corner_and_the_names_above(tmp_path):
    draw(tmp_path / "a.gif", states(3), ["0", "1", "2", "3"])
    draw(tmp_path / "b.gif", states(3), ["0", "1", "2", "x"])
    (a0, _), (a1, _), _ = frames(tmp_path / "a.gif")
    (b0, _), _, _ = frames(tmp_path / "b.gif")
    assert (a0[-LINE:] != a1[-LINE:]).any()
    assert (a0[:LINE] == a1[:LINE]).all()
    last = GAP + 3 * (CELL + GAP)
    assert (a0[:LINE, last:] != b0[:LINE, last:]).any()
    assert (a0[:, :last] == b0[:, :last]).all()


def test_long_trajectories_are_thinned_between_the_first_and_the_last_state(tmp_path):
    array = states(301, n=1, shape=(1, 4, 4))
    draw(tmp_path / "long.gif", array)
    draw(tmp_path / "ends.gif", array[[0, -1]])
    found = [picture for picture, _ in frames(tmp_path / "long.gif")]
    ends = [picture for picture, _ in frames(tmp_path / "ends.gif")]
    assert len(found) == MAX_FRAMES
    assert (found[0] == ends[0]).all()
    assert (found[-1] == ends[1]).all()


def test_many_samples_wrap(tmp_path):
    draw(tmp_path / "a.gif", states(2, n=COLUMNS + 1, shape=(1, 8, 4)))
    picture, _ = next(frames(tmp_path / "a.gif"))
    height, width = 8 * (CELL // 8), 4 * (CELL // 8)
    assert picture.shape == (2 * (LINE + height) + LINE + GAP // 2, GAP + COLUMNS * (width + GAP), 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_states_without_numbers_or_range_are_drawn(tmp_path, value):
    array = states(3, n=2, shape=(1, 4, 4))
    array[:, 0] = value
    assert draw(tmp_path / "a.gif", array)
    assert len(list(frames(tmp_path / "a.gif"))) == 3


@pytest.mark.parametrize("shape", [(3, 2, 5), (3, 2, 4, 4), (0, 2, 1, 4, 4), (3, 0, 1, 4, 4)])
def test_other_shapes_give_no_gif(tmp_path, shape):
    assert not draw(tmp_path / "a.gif", np.zeros(shape))
    assert not (tmp_path / "a.gif").exists()


def test_images_of_one_channel_are_grey_and_of_three_in_color_over_the_declared_range(tmp_path):
    ramp = np.linspace(-1.5, 1.5, 16).reshape(4, 4)
    for name, channels in {"grey": [ramp], "color": [ramp, ramp.T, -ramp]}.items():
        array = np.stack([np.stack(channels)[None]] * 2)
        draw(tmp_path / f"{name}.gif", array, look=Look(value_range=(-1.0, 1.0)))
        picture, _ = next(frames(tmp_path / f"{name}.gif"))
        exact = ((np.stack(channels * 3)[:3].transpose(1, 2, 0) + 1) / 2).clip(0, 1) * 255
        tile = picture[LINE : LINE + CELL : CELL // 4, GAP : GAP + CELL : CELL // 4]
        assert np.abs(tile - exact).max() <= 2  # steps of 255 / 239 between greys; each of the 16 colors is a palette's
