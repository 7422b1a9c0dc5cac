"""Executors that several calls use: whose work goes first, and what a call that ends waits for."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.rendering.executors import InlineExecutor, OrderedExecutor, Share


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.integers(0, 3), max_size=12))
def test_what_waits_runs_by_order_and_then_as_it_came(orders: list[int]) -> None:
    executor = OrderedExecutor()
    begin, ended = threading.Event(), threading.Event()
    done: list[tuple[int, int]] = []
    executor.submit(9, lambda: done.clear() if begin.wait(60) else None)
    for number, order in enumerate(orders):
        executor.submit(order, partial(done.append, (order, number)))
    executor.submit(10, ended.set)
    begin.set()
    assert ended.wait(60)
    assert done == sorted(zip(orders, range(len(orders)), strict=True))


def test_a_share_that_is_left_waits_for_its_own_work_alone() -> None:
    with ThreadPoolExecutor(2) as pool:
        mine, others, waited = threading.Event(), threading.Event(), threading.Event()
        with Share(pool) as other:
            kept = other.submit(others.wait)
            share = Share(pool)
            running = share.submit(mine.wait)
            given_up = share.submit(int)
            untouched = other.submit(int)

            def leave() -> None:
                share.shutdown()
                waited.set()

            leaving = threading.Thread(target=leave)
            leaving.start()
            while not given_up.cancelled():
                assert leaving.is_alive()
            assert not waited.is_set()
            mine.set()
            leaving.join(60)
            assert waited.is_set()
            assert running.done()
            with pytest.raises(CancelledError):
                given_up.result()
            assert not kept.done()
            others.set()
            assert untouched.result() == 0


def test_what_is_done_at_once_raises_where_it_is_asked_for() -> None:
    with Share(InlineExecutor()) as share:
        failed = share.submit(int, "three")
        assert share.submit(int, "3").result() == 3
    with pytest.raises(ValueError, match="three"):
        failed.result()


def test_what_is_done_is_not_kept() -> None:
    """A range has as many pictures as frames."""
    with ThreadPoolExecutor(1) as pool, Share(pool) as threaded, Share(InlineExecutor()) as inline:
        for share in (threaded, inline):
            future = share.submit(Picture)
            kept = weakref.ref(future.result())
            del future
            # The thread itself has let go of it once it has gone on to something else.
            share.submit(int).result()
            assert kept() is None


class Picture:
    """What a call made."""
