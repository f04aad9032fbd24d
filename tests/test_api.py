import warnings

import pytest
from pydantic import create_model

from gentoolkit import api, errors, paths, protocols
from gentoolkit.api import BackboneConfig, DatasetConfig, MetricConfig, ObjectiveConfig, PluginError, SamplerConfig


class Folder(DatasetConfig):
    path: str = "."

    def files(self):
        return self.path


def subclass(base, field):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's own, about the same
        return create_model("Bad", __base__=base, **{field: (int, 3)})


@pytest.mark.parametrize("base", [BackboneConfig, DatasetConfig, MetricConfig, ObjectiveConfig, SamplerConfig])
@pytest.mark.parametrize("field", ["type", "check", "kind", "copy"])
def test_a_field_that_hides_what_every_config_has_is_refused(base, field):
    with pytest.raises(PluginError, match=f"Bad: '{field}' can't be used as a field name; rename the field"):
        subclass(base, field)


@pytest.mark.parametrize(("base", "field"), [(DatasetConfig, "spec"), (Folder, "spec"), (Folder, "files")])
def test_a_field_that_hides_a_method_of_its_own_bases_is_refused(base, field):
    with pytest.raises(PluginError, match=f"'{field}' can't be used as a field name"):
        subclass(base, field)


def test_a_field_can_be_declared_anew_and_be_called_as_another_kinds_method():
    assert subclass(Folder, "path")().path == 3
    assert subclass(SamplerConfig, "spec")().spec == 3


@pytest.mark.parametrize("module", [errors, paths, protocols])
def test_a_public_name_means_one_thing(module):
    for name in api.__all__:
        assert getattr(module, name, getattr(api, name)) is getattr(api, name), name
