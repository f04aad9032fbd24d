"""Settings for all tests: one thread each, as several run side by side; no test reaches the network."""

import atexit
import os
import shutil
import signal
import tempfile
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
# A shell starts what it puts in the background with Ctrl-C ignored, and tests of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["OMP_NUM_THREADS"] = "1"  # and so do the processes that tests start
# A cache of our own, also for the processes that tests start, but not one of fonts, which take seconds to find.
home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("MPLCONFIGDIR", str(home / "matplotlib"))
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
# Shared machines stall now and then: a deadline, or a limit on how long inputs take to draw, would test the machine.
settings.register_profile("shared", deadline=None, derandomize=False, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def global_rng_untouched():
    """The toolkit draws from generators that it is passed: no test may move torch's global one."""
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(before, torch.random.get_rng_state()), "the global RNG was used"
