import threading

import pytest
import torch

from gentoolkit.training.prefetch import prefetched


def alive():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_items_keep_their_order():
    for group_size in (1, 7, 50, 1000):
        with prefetched(iter(range(100)), group_size) as items:
            assert list(items) == list(range(100))
        assert not alive()


@pytest.mark.parametrize("group_size", [1, 3, 25])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_so_many_groups_are_prepared_ahead_and_no_more(depth, group_size):
    asked, enough = [], threading.Event()
    most = (3 + depth) * group_size  # the third group is in use

    def count():
        for number in range(1000):
            asked.append(number)
            if len(asked) == most:
                enough.set()
            yield number

    with prefetched(count(), group_size, depth) as items:
        for _ in range(2 * group_size + 1):
            next(items)
        assert enough.wait(3600)  # those ahead of the group in use are prepared without being asked for
        assert len(asked) == most
    assert not alive()
    assert len(asked) == most


@pytest.mark.parametrize("group_size", [1, 2, 3, 8])
def test_an_exception_is_raised_where_its_item_is_due(group_size):
    def failing():
        yield 0
        yield 1
        raise ZeroDivisionError

    with prefetched(failing(), group_size, depth=8) as items:
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(ZeroDivisionError) as error:
            next(items)
        assert error.traceback[-1].name == "failing"  # which is how a run finds the part at fault
    assert not alive()


def test_the_thread_computes_on_one_core_and_others_keep_theirs():
    before = torch.get_num_threads()
    later = []
    with prefetched(torch.get_num_threads() for _ in range(3)) as items:
        assert list(items) == [1, 1, 1]
        assert torch.get_num_threads() == before
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [before]


def test_the_thread_ends_with_the_block():
    def leave():
        with prefetched(iter(range(100))) as items:
            next(items)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert not alive()


def test_items_are_prepared_in_another_thread():
    with prefetched(threading.current_thread().name for _ in range(3)) as items:
        assert set(items) == {"prefetch"}
