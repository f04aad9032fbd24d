"""The contracts of every component."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gentoolkit import protocols
from gentoolkit.testing import backbone, dataset, metric, objective, sampler
from gentoolkit.testing.contracts import CONTRACTS, Case, contract, require
from gentoolkit.testing.measures import IMPORT_PLUGIN, global_randomness_kept, in_fresh_interpreter
from gentoolkit.testing.outcomes import BUILDS

_PROTOCOLS: dict[str, Any] = {
    "dataset": protocols.Dataset,
    "backbone": protocols.Backbone,
    "objective": protocols.Objective,
    "sampler": protocols.Sampler,
    "metric": protocols.Metric,
}
#: What tells two components of a kind apart.
_OBSERVE: dict[str, Callable[[Case, Any], dict[str, Tensor]]] = {
    "dataset": dataset.observe,
    "backbone": backbone.observe,
    "objective": objective.observe,
    "sampler": sampler.observe,
    "metric": metric.observe,
}


@contract("any.expected_failures")
def expected_failures(case: Case) -> None:
    """Every expected failure that the component declares names one of its contracts, and gives a reason.

    Power: any unknown name, any reason without a word.
    """
    declared = case.entry.component.expected_failures
    own = {key for key, contract in CONTRACTS.items() if contract.concerns(case)}
    require(not declared.keys() - own, f"expected failures {sorted(declared.keys() - own)} name none of its contracts")
    unexplained = sorted(key for key, reason in declared.items() if not reason.strip())
    require(not unexplained, f"expected failures {unexplained} give no reason")


@contract("any.config_round_trip")
def config_round_trip(case: Case) -> None:
    """The tiny config survives JSON: written and read back, it is equal. Runs keep configs as JSON.

    Power: any field of the tiny config that comes back changed.
    """
    text = case.config.model_dump_json()
    back = type(case.config).model_validate_json(text)
    require(back == case.config, f"{case.config!r} became {back!r} by way of the JSON {text}")
    plain = json.loads(text)
    again = json.loads(back.model_dump_json())
    require(again == plain, f"the JSON {plain} became {again} when read and written once more")


@contract(BUILDS)
def factory(case: Case) -> None:
    """The factory resolves, takes the arguments of its kind, and gives what `gentoolkit.protocols` says of the kind.

    Power: any missing name; the arguments of its methods are found wrong when other contracts call them.
    """
    kind = case.entry.kind
    protocol, built = _PROTOCOLS[kind], case.build()
    names = {name for name in [*dir(protocol), *protocol.__annotations__] if name[0] != "_" or name == "__len__"}
    missing = sorted(name for name in names if not hasattr(built, name))
    require(not missing, f"a {type(built).__name__} is no {kind}: it has no {', '.join(missing)}")
    is_module = kind != "backbone" or isinstance(built, nn.Module)
    require(is_module, f"a {type(built).__name__} is no backbone: it must be a torch.nn.Module")


@contract("any.build")
def build(case: Case) -> None:
    """Building twice with one seed gives equal parts, and leaves the global random generators alone.

    Backbones and objectives may draw their first weights from torch's, which runs and contracts fork and key for them.

    Power: any bit of the samples, weights, loss or value.
    """
    with global_randomness_kept():
        parts = [case.build(), case.build()]
    first, second = (_OBSERVE[case.entry.kind](case, part) for part in parts)
    require(first.keys() == second.keys(), f"two builds differ in their parts: {sorted(first.keys() ^ second.keys())}")
    different = [name for name in first if not torch.equal(first[name], second[name])]
    require(not different, f"two builds with the seed {case.seed} differ in {', '.join(different)}")


@contract("any.no_torch")
def no_torch(case: Case) -> None:
    """Importing the plugin and listing its components imports no torch: a factory is a string for that reason.

    Power: any import of torch by the module of the config, or while the distribution's plugins are loaded.
    """
    entry = case.entry
    answer = in_fresh_interpreter(IMPORT_PLUGIN, type(case.config).__module__, entry.distribution)
    require(answer == "False", f"importing {type(case.config).__module__} imports torch; import it where it computes")
