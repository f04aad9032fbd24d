"""Our metrics and features have the values of the packages in references/requirements.txt, on the same inputs."""

import json
from pathlib import Path

import pytest
import torch

from building import built
from gentoolkit.api import DataSpec
from gentoolkit_features import efficientnet
from gentoolkit_features.inception import Layer, names, network
from references.inputs import CASES, images, sets, weights

VALUES = json.loads((Path(__file__).parents[1] / "references" / "values.json").read_text())
ON_FEATURES = {"frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"}


@pytest.mark.parametrize(
    ("name", "case"),
    [(name, case) for case in CASES for name, value in VALUES["sets"][case].items() if value is not None],
)
def test_each_metric_has_the_value_of_its_reference(name, case):
    real, other = map(torch.from_numpy, sets(case))
    given = {"spec": DataSpec((CASES[case][2],)), "seed": 1, "train": None}
    metric = built("metric", name, given, **({"features": "identity"} if name in ON_FEATURES else {}))
    value = metric.value(metric.prepare(real, None), metric.prepare(other, None))
    # Both compute in float64; sbibm rounds its result to float32.
    assert value == pytest.approx(VALUES["sets"][case][name], rel=1e-6)


def image_spec(side):
    return DataSpec((3, side, side), value_range=(0.0, 255.0))


def test_efficientnet_has_the_features_of_its_reference():
    pytest.importorskip(efficientnet.PACKAGE)
    made = built("features", "efficientnet_lite0", {"spec": image_spec(224), "seed": 0, "train": None})
    found = made(torch.from_numpy(images(224)).float())
    assert found.shape == (2, 1280)
    # float32 rounding in some fifty layers: 1e-4 of the largest feature.
    torch.testing.assert_close(found[:, ::64], torch.tensor(VALUES["efficientnet_lite0"]), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory):
    """A file with random weights, named as in the user's."""
    layers = [module for module in network().modules() if isinstance(module, Layer)]
    shapes = {
        f"{name}.{part}": tuple(value.shape)
        for name, layer in zip(names(), layers, strict=True)
        for part, value in layer.state_dict().items()
        if value.ndim
    }
    file = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save({name: torch.from_numpy(weights(name, shape)) for name, shape in shapes.items()}, file)
    return file


@pytest.mark.parametrize("side", [32, 299])
def test_inception_has_the_features_of_its_reference(inception_file, side):
    made = built(
        "features", "inception", {"spec": image_spec(side), "seed": 0, "train": None}, file=str(inception_file)
    )
    found = made(torch.from_numpy(images(side)).float())
    assert found.shape == (2, 2048)
    expected = torch.tensor(VALUES["inception"][str(side)])
    torch.testing.assert_close(found[:, ::128], expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
