"""The speed of light: nothing but ``session.run`` on input that was made before the clock started.

It runs the network as it was exported. Who runs it otherwise (ours on CPUs: its face encoder once per background) may
be faster.

``workers`` processes of one session each take batches from a common count until ``frames`` are done, or for
``options["seconds"]``. Shapes and types are read from the model, so any precision and any layout of input will do.
With ``options["on_gpu"]`` input and output stay on the GPU, so that nothing is copied either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

if TYPE_CHECKING:
    # Types alone: at run time the script finds its neighbour beside itself.
    from jobs.benchmark.baselines import processes, shared
else:
    import processes
    import shared


def fixed_input(session: onnxruntime.InferenceSession, batch: int) -> dict[str, NDArray[Any]]:
    """One random array for each input of the model, the same in every process: bytes, or numbers in [0, 1]."""
    rng = np.random.default_rng(328)
    arrays = {}
    for tensor in session.get_inputs():
        shape = [batch, *tensor.shape[1:]]
        levels = rng.integers(0, 256, shape, dtype=np.uint8)
        dtype = shared.DTYPES[tensor.type]
        arrays[tensor.name] = levels if dtype is np.uint8 else (levels / np.float32(255)).astype(dtype)
    return arrays


def runner(
    session: onnxruntime.InferenceSession, arrays: Mapping[str, NDArray[Any]], output: str, *, on_gpu: bool
) -> Callable[[], object]:
    """What runs one batch; with ``on_gpu`` on arrays that were copied to the GPU once."""
    if not on_gpu:
        return lambda: session.run([output], arrays)
    binding = session.io_binding()
    for name, array in arrays.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, "cuda", 0))
    binding.bind_output(output, "cuda")

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return run


def main() -> None:
    """Renders nothing; counts frames."""
    spec = shared.Spec.from_command_line()
    seconds = spec.options.get("seconds")
    batches = -(-spec.frames // spec.batch)
    taken = processes.Counter()

    def prepare(_: int) -> Callable[[], shared.Count]:
        session = shared.open_session(spec, spec.threads)
        arrays = fixed_input(session, spec.batch)
        run = runner(session, arrays, spec.output, on_gpu=spec.options.get("on_gpu", False))
        for _ in range(spec.warm):
            run()

        def work() -> shared.Count:
            done = 0
            stop = time.perf_counter() + seconds if seconds else None
            while time.perf_counter() < stop if stop else taken.take() < batches:
                run()
                done += 1
            return shared.Count(done * spec.batch, done)

        return work

    shared.report("bare", spec, processes.run_processes(spec.workers, prepare), {"composited": False})


if __name__ == "__main__":
    main()
