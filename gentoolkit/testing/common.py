"""Contracts for all components."""

from __future__ import annotations

import json
from pkgutil import resolve_name

import torch
from torch import nn

from gentoolkit.configs import to_data
from gentoolkit.errors import UsageError
from gentoolkit.kinds import KINDS
from gentoolkit.testing.contracts import CONTRACTS, Case, contract, does_not_apply, require
from gentoolkit.testing.measures import IMPORT_PLUGIN, global_randomness_kept, in_fresh_interpreter
from gentoolkit.testing.outcomes import BUILDS


@contract("any.expected_failures")
def expected_failures(case: Case) -> None:
    """Every declared expected failure names one of the component's contracts and has a reason.

    Power: any unknown name; any empty reason.
    """
    declared = case.entry.component.expected_failures
    own = {key for key, contract in CONTRACTS.items() if contract.concerns(case)}
    unknown = sorted(declared.keys() - own)
    require(not unknown, f"expected failures {unknown} are not contracts of this component")
    unexplained = sorted(key for key, reason in declared.items() if not reason.strip())
    require(not unexplained, f"expected failures {unexplained} have no reason")


@contract("any.config_round_trip")
def config_round_trip(case: Case) -> None:
    """The tiny config is unchanged after it is written to JSON and read back, as runs do with configs.

    Power: any field of the tiny config that changes.
    """
    plain = to_data(case.config)
    back = case.components.resolve(case.kind, json.loads(json.dumps(plain)))
    require(back == case.config, f"{case.config!r} becomes {back!r} after conversion to the JSON {plain}")
    again = to_data(back)
    require(again == plain, f"the JSON {plain} becomes {again} when it is read and written again")


@contract(BUILDS)
def factory(case: Case) -> None:
    """The factory can be imported and called, and returns an object with the interface of its kind.

    `gentoolkit.kinds` names the interfaces. A component whose factory raises `UsageError`, for example because an extra
    is not installed, is not checked.

    Power: any missing attribute. Wrong method signatures are found by the other contracts, which call the methods.
    """
    kind = case.entry.kind
    protocol = resolve_name(KINDS[kind].protocol)
    try:
        built = case.build()
    except UsageError as error:
        does_not_apply(str(error))
    names = {
        name
        for name in [*dir(protocol), *getattr(protocol, "__annotations__", {})]
        if name[0] != "_" or name == "__len__"
    }
    missing = sorted(name for name in names if not hasattr(built, name))
    require(not missing, f"{type(built).__name__} is missing {', '.join(missing)}, which every {kind} must have")
    is_module = kind != "backbone" or isinstance(built, nn.Module)
    require(is_module, f"{type(built).__name__} is not a backbone: it must be a torch.nn.Module")


@contract("any.build")
def build(case: Case) -> None:
    """Building a component twice with one seed has equal results and does not use the global random generators.

    Backbones and objectives may draw their initial weights from torch's global generator, which runs and contracts fork
    and seed for them.

    Power: any bit of the samples, weights, loss or value.
    """
    with global_randomness_kept():
        parts = [case.build(), case.build()]
    observe = resolve_name(f"gentoolkit.testing.{KINDS[case.kind].contracts[0]}:observe")
    first, second = (observe(case, part) for part in parts)
    require(first.keys() == second.keys(), f"two builds differ in their parts: {sorted(first.keys() ^ second.keys())}")
    different = [name for name in first if not torch.equal(first[name], second[name])]
    require(not different, f"two builds with seed {case.seed} differ in {', '.join(different)}")


@contract("any.no_torch")
def no_torch(case: Case) -> None:
    """Importing the plugin and listing its components does not import torch; this is why a factory is a string.

    Power: any import of torch by the module of the config, or while the distribution's plugins are loaded.
    """
    entry = case.entry
    answer = in_fresh_interpreter(IMPORT_PLUGIN, type(case.config).__module__, entry.distribution)
    module = type(case.config).__module__
    require(answer == "False", f"importing {module} imports torch; import it in the module with the factory")
