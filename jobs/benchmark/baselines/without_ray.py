"""The bare network, and the programs that users have today without Ray; ``system`` in SPEC.json says which runs.

All of a program but its rendering lies before the clock: the clip is loaded, and sessions are built and warm. Programs
of several processes fork them, so that what is loaded is shared, and these begin together.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

if TYPE_CHECKING:
    # Types alone: at run time the script finds its neighbour beside itself.
    from jobs.benchmark.baselines import shared
else:
    import shared

Work = Callable[[], shared.Done]
Render = Callable[[shared.BaselineNetwork, Iterable[range]], None]
FORK = multiprocessing.get_context("fork")
AHEAD = 2  # batches that the overlapped pool may leave unwritten


def single(network: shared.BaselineNetwork, pieces: Iterable[range]) -> None:
    """One frame at a time, as SyncTalk_2D's own inference does it, which cuts (and reads) each crop anew."""
    clip = network.clip
    for t in chain(*pieces):
        background = clip.background(t)
        crop = shared.crop_face(clip.spec, background.frame, background.rect)
        prediction = network.predict([crop], [clip.window(t)])[0]
        shared.write_frame(clip.spec, t, shared.composite(clip.spec, background, prediction, crop))


def batch(network: shared.BaselineNetwork, pieces: Iterable[range]) -> None:
    """A whole batch through the network, then its frames are pasted and written in turn."""
    for frames in pieces:
        shared.render_batch(network, frames)


def inference(network: shared.BaselineNetwork, pieces: Iterable[range]) -> None:
    """Half a program, measured because it is published as if it were a whole one: nothing is pasted or written."""
    for frames in pieces:
        network.predict_frames(frames)


def thread_pool(network: shared.BaselineNetwork, pieces: Iterable[range]) -> None:
    """The program behind the published 41.11 fps: its pool only pastes, then all of a batch is written in turn."""
    clip = network.clip

    def paste(t: int, prediction: shared.Planes) -> shared.Image:
        return shared.composite(clip.spec, clip.background(t), prediction)

    with ThreadPoolExecutor(clip.spec.workers) as pool:
        for frames in pieces:
            predictions = network.predict_frames(frames)
            for t, image in zip(frames, pool.map(paste, frames, predictions), strict=True):
                shared.write_frame(clip.spec, t, image)


def thread_pool_overlapped(network: shared.BaselineNetwork, pieces: Iterable[range]) -> None:
    """That pool at its best, as nobody has published it: it pastes and writes while the next batch is inferred."""
    unwritten: deque[list[Future[None]]] = deque()
    finish = partial(shared.finish, network.clip)
    with ThreadPoolExecutor(network.clip.spec.workers) as pool:
        for frames in pieces:
            predictions = network.predict_frames(frames)
            for future in unwritten.popleft() if len(unwritten) == AHEAD else ():
                future.result()
            unwritten.append([pool.submit(finish, *one) for one in zip(frames, predictions, strict=True)])
        for future in chain(*unwritten):
            future.result()


def alone(spec: shared.Spec, render: Render) -> list[shared.Done]:
    """Renders all frames in this process."""
    network = shared.BaselineNetwork(shared.load_clip(spec), spec.threads)
    return [rendered(render, network, shared.batches(range(spec.frames), spec.batch))]


def rendered(render: Render, network: shared.BaselineNetwork, pieces: Iterable[range]) -> shared.Done:
    """Renders some frames against the clock."""
    began = time.perf_counter()
    render(network, pieces)
    return shared.Done(network.frames, network.runs, began, time.perf_counter())


def static(spec: shared.Spec, render: Render) -> list[shared.Done]:
    """Each process renders one contiguous piece of the clip; whoever is done first waits for the slowest."""
    clip = shared.load_clip(spec)

    def prepare(worker: int) -> Work:
        share = range(spec.frames * worker // spec.workers, spec.frames * (worker + 1) // spec.workers)
        return partial(rendered, render, shared.BaselineNetwork(clip, spec.threads), shared.batches(share, spec.batch))

    return run_processes(spec.workers, prepare)


def plain_loop(spec: shared.Spec) -> list[shared.Done]:
    """One single-threaded process per core; each takes its next batch from a common count, so that none idles."""
    clip, count = shared.load_clip(spec), FORK.Value("q", 0)
    pieces = shared.batches(range(spec.frames), spec.batch)

    def prepare(_: int) -> Work:
        taken = (pieces[index] for index in numbers(count, len(pieces)))
        return partial(rendered, batch, shared.BaselineNetwork(clip, 1), taken)

    return run_processes(spec.workers, prepare)


def numbers(count: Any, end: int) -> Iterator[int]:  # noqa: ANN401 - a shared integer, whose type has no public name
    """Gives out 0, 1, 2 ... below ``end`` to forked processes, each number once."""
    while True:
        with count:
            number = int(count.value)
            count.value = number + 1
        if number >= end:
            return
        yield number


def bare(spec: shared.Spec) -> list[shared.Done]:
    """The speed of light: nothing but ``session.run`` on input that was made before the clock started.

    It runs the network as it was exported; who runs it otherwise may be faster. Processes of one session each take
    batches from a common count until ``frames`` are done, or for ``seconds``. On a GPU input and output stay there.
    """
    count, needed = FORK.Value("q", 0), -(-spec.frames // spec.batch)

    def prepare(_: int) -> Work:
        run = bare_batch(spec, shared.open_session(spec, spec.threads))
        for _ in range(shared.WARM):
            run()

        def work() -> shared.Done:
            began, runs = time.perf_counter(), 0
            end = began + spec.seconds if spec.seconds else None
            for _ in iter(lambda: time.perf_counter() < end, False) if end else numbers(count, needed):
                run()
                runs += 1
            return shared.Done(runs * spec.batch, runs, began, time.perf_counter())

        return work

    return run_processes(spec.workers, prepare)


def bare_batch(spec: shared.Spec, session: onnxruntime.InferenceSession) -> Callable[[], object]:
    """What runs one batch of random input of the shapes and types that the model has: bytes, or numbers in [0, 1]."""
    rng = np.random.default_rng(328)
    arrays: dict[str, NDArray[Any]] = {}
    for tensor in session.get_inputs():
        levels, dtype = rng.integers(0, 256, [spec.batch, *tensor.shape[1:]], np.uint8), shared.DTYPES[tensor.type]
        arrays[tensor.name] = levels if dtype is np.uint8 else (levels / np.float32(255)).astype(dtype)
    if spec.provider == shared.CPU:
        return lambda: session.run([spec.output], arrays)
    binding = session.io_binding()
    for name, array in arrays.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, "cuda", 0))
    binding.bind_output(spec.output, "cuda")

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return run


def run_processes(number: int, prepare: Callable[[int], Work]) -> list[shared.Done]:
    """Runs forked processes that begin together; RuntimeError where one fails, once the others have been ended.

    ``prepare`` is called in each with its index; it opens the session and returns the work for the clock.
    """
    cv2.setNumThreads(1)
    ready, answers = FORK.Barrier(number), FORK.SimpleQueue()

    def body(index: int) -> None:
        work = prepare(index)
        ready.wait()
        answers.put(work())

    running = [FORK.Process(target=body, args=(index,), daemon=True) for index in range(number)]
    for process in running:
        process.start()
    while running:
        multiprocessing.connection.wait([process.sentinel for process in running])
        # Asked once: a process that ends between two questions would be neither running nor failed.
        codes = [process.exitcode for process in running]
        failed = [code for code in codes if code]
        running = [process for process, code in zip(running, codes, strict=True) if code is None]
        if failed:
            for process in running:
                process.terminate()
            raise RuntimeError(f"a process ended with {failed[0]}; its traceback stands above")
    return [answers.get() for _ in range(number)]


PROGRAMS: dict[str, Callable[[shared.Spec], list[shared.Done]]] = {
    "bare": bare,
    "single": lambda spec: alone(spec, single),
    "batch": lambda spec: alone(spec, batch),
    "workers_inference": lambda spec: static(spec, inference),
    "thread_pool": lambda spec: alone(spec, thread_pool),
    "thread_pool_overlapped": lambda spec: alone(spec, thread_pool_overlapped),
    "workers_static": lambda spec: static(spec, batch),
    "plain_loop": plain_loop,
}

if __name__ == "__main__":
    told = shared.Spec.from_command_line()
    shared.report(PROGRAMS[told.system](told))
