"""Running contracts in a worker process, which is restarted if a contract ends it. Does not import torch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from threading import Timer
from typing import Any, Self

from gentoolkit.distributions import canonical
from gentoolkit.errors import PluginError, UsageError, joined, listing, suggest
from gentoolkit.plugins import Plugins, load_plugins
from gentoolkit.testing.outcomes import BUILDS, Outcome, Planned
from gentoolkit.verbs import declared_verbs

#: Seconds after which a contract is stopped. Only a contract that hangs takes so long; the slowest takes a few seconds.
LIMIT = 600.0

_SERVE = "import sys; from gentoolkit.testing.worker import serve; serve(sys.argv[1], int(sys.argv[2]))"


def need_plugins(distribution: str, plugins: Plugins) -> str:
    """Return the normalized name of a distribution after checking that what it has can be loaded.

    Raises:
        UsageError: The distribution has no plugins and no commands, or one of them could not be loaded.
    """
    name, verbs = canonical(distribution), list(declared_verbs())
    broken = [(plugin.name, plugin.reason) for plugin in plugins.quarantined if plugin.distribution == name]
    if broken := broken + [(verb.name, verb.fault) for verb in verbs if verb.distribution == name and verb.fault]:
        faults = "; ".join(f"{of}: {reason}" for of, reason in broken)
        raise UsageError(f"{name!r} can't be checked, because one of its plugins could not be loaded: {faults}")
    installed = {plugin.distribution for plugin in plugins.loaded} | {verb.distribution for verb in verbs}
    if name not in installed:
        raise UsageError(
            joined(
                f"no installed distribution {distribution!r} has gentoolkit plugins",
                f"expected one of {listing(installed)}",
                suggest(name, installed),
            )
        )
    return name


def check(distribution: str, plugins: Plugins | None = None) -> list[Outcome]:
    """Run all contracts for an installed distribution in a worker process. Does not require pytest.

    Args:
        distribution: Name of the distribution as known to pip, e.g. "my-dist".
        plugins: The result of `load_plugins`, if available; the worker loads the distribution's plugins again.

    Raises:
        UsageError: The distribution has no plugins, or one of them could not be loaded.
        PluginError: The worker ended while loading the plugins.
    """
    name = need_plugins(distribution, plugins or load_plugins())
    return [outcome for _, outcome in supervised(name) if outcome is not None]


def supervised(distribution: str, limit: float = LIMIT) -> Iterator[tuple[Planned, Outcome | None]]:
    """Run all contracts for an installed distribution in a worker process.

    A contract that ends the worker or runs longer than `limit` fails. A new worker then runs the remaining contracts.

    Args:
        distribution: Name of the distribution as known to pip.
        limit: Time limit for one contract, in seconds. The limit for loading the plugins is always LIMIT.

    Yields:
        Each contract with None before it runs, then with its outcome.

    Raises:
        PluginError: The worker ended while loading the plugins.
    """
    plan: list[Planned] = []
    position = 0
    while not plan or position < len(plan):
        with Worker(distribution, position) as worker:
            sent = worker.receive(LIMIT)
            if sent is None:
                raise PluginError(f"the contracts of {distribution!r} can't run: the process {worker.cause()}")
            plan = [Planned(**planned) for planned in sent]
            if not plan:
                return
            for planned in plan[position:]:
                yield planned, None
                answer = worker.receive(limit)
                position += 1
                if answer is None:
                    yield planned, planned.outcome("failed", f"the process {worker.cause()}")
                    break
                yield planned, Outcome(**answer)
        if answer is None and planned.contract == BUILDS:  # every other contract of the component would end it too
            while position < len(plan) and plan[position].subject == planned.subject:
                yield plan[position], plan[position].not_run()
                position += 1


class Worker:
    """A process that runs the contracts for a distribution, beginning with the one at index `start`.

    It writes lines of JSON: first the whole plan, then the outcome of each contract.
    """

    def __init__(self, distribution: str, start: int) -> None:
        self.overdue: float | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, distribution, str(start)],
            env=same_modules(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that its child processes end with it, and Ctrl-C reaches only the supervisor
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        assert self.process.stdout is not None
        self._kill()
        self.process.wait()
        self.process.stdout.close()

    def receive(self, limit: float) -> Any:
        """Return the next message, or None if the worker ended. It is killed if it takes more than `limit` seconds."""
        assert self.process.stdout is not None
        timer = Timer(limit, self._expire, [limit])
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        return json.loads(line) if line.endswith("\n") else None

    def _expire(self, limit: float) -> None:
        self.overdue = limit
        self._kill()

    def _kill(self) -> None:
        """Kill the worker and its child processes, which would otherwise keep its stdout open."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()

    def cause(self) -> str:
        """Return why the worker ended, as a predicate for "the process"."""
        code = self.process.wait()
        if self.overdue is not None:
            return f"was stopped after {self.overdue:g} seconds without a result"
        if code >= 0:
            return f"ended with exit code {code}; a component must not end the process (sys.exit, os._exit)"
        memory = ", probably out of memory" if -code == getattr(signal, "SIGKILL", None) else ""
        return f"was killed by signal {-code} ({signal.Signals(-code).name}){memory}"


def same_modules() -> dict[str, str]:
    """Return environment variables for an interpreter with the same module path as this one."""
    path = os.pathsep.join(entry or "." for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}


def serve(distribution: str, start: int) -> None:
    """Run the contracts and write the results to stdout; the main function of a worker."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of components must not mix with the results

    def send(message: Any) -> None:
        print(json.dumps(message), file=results, flush=True)

    from gentoolkit.testing.contracts import contracts_of
    from gentoolkit.testing.running import planned, run
    from gentoolkit.testing.suite import subjects_of

    subjects = subjects_of(distribution, load_plugins())
    pairs = [(contract, subject) for subject in subjects for contract in contracts_of(subject)]
    send([asdict(planned(*pair)) for pair in pairs])
    for contract, subject in pairs[start:]:
        send(asdict(run(contract, subject)))
