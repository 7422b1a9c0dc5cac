"""CUDA on a machine without a GPU: ONNX Runtime as it looks from outside where a card is, calculating on the CPU.

A process has it whose environment names a file of settings in ``STAND_IN_CUDA`` and has the suite's support on its
path (see `sitecustomize`). The file holds an object of JSON with any fields of `Settings`. ``nvidia-smi`` in
``tests/support/stand_in_cuda`` tells of the same card. Nothing here imports the product.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

VARIABLE = "STAND_IN_CUDA"
FOLDER = Path(__file__).with_name("stand_in_cuda")
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"

# As ONNX Runtime words them.
NO_CUDNN = (
    "Failed to load library libcudnn.so.9 with error: libcudnn.so.9: cannot open shared object file: No such file or"
    " directory. Invalid handle. Cannot load symbol cudnnCreate"
)
OUT_OF_MEMORY = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Name:'n0'"
    " Status Message: bfc_arena.cc: BFCArena::AllocateRawInternal Available memory of {room} is smaller than requested"
    " bytes of {wanted}"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """How the card behaves."""

    seconds_per_run: float = 0.0  # that a run takes beside what the CPU takes; other threads run meanwhile
    seconds_per_frame: float = 0.0  # likewise, for each frame of the batch
    calculates: bool = True  # otherwise the answer of a binding's first run is given again
    fails_at_creation: str = ""  # message of the error
    fails_at_first_run: str = ""
    memory_above_batch: int = 0  # larger batches do not fit; 0 for no limit
    cpu_nodes: tuple[str, ...] = ()  # operators that the card leaves to the CPU
    refuses: tuple[str, ...] = ()  # options whose presence makes the creation fail
    breaks: tuple[str, ...] = ()  # options of the provider with which a bound run answers otherwise, by 8 levels
    fails_at_capture: str = ""  # message of the error
    not_loaded: str = ""  # what `preload_dlls` prints
    log: str = ""  # a file that gets a line of JSON for each session
    cards: tuple[dict[str, Any], ...] = field(default=({"name": "NVIDIA Stand-in", "memory_mib": 24576},))


def environment(folder: Path, **settings: object) -> dict[str, str]:
    """Variables for a process that shall have the card; ``folder`` keeps the file of settings."""
    path = folder / "stand_in_cuda.json"
    path.write_text(json.dumps(asdict(Settings(**settings))))  # type: ignore[arg-type]
    return {
        VARIABLE: str(path),
        "PATH": f"{FOLDER}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(FOLDER.parent), os.environ.get("PYTHONPATH", "")])),
    }


def sessions(log: Path) -> list[dict[str, Any]]:
    """What was told of each session: ``pid``, ``environment``, ``provider_options``, ``entries`` and more."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def own_settings() -> Settings:
    """Those of this process, as the file holds them now."""
    told = json.loads(Path(os.environ[VARIABLE]).read_text())
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    return Settings(**given)


def cudnn_is_spoilt() -> bool:
    """Whether the loader would meet an empty cuDNN before any other, and refuse it."""
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    found = next((path for folder in folders if (path := Path(folder, "libcudnn.so.9")).is_file()), None)
    return found is not None and not found.stat().st_size


def on_import() -> None:
    """Lets ONNX Runtime have the card once it is imported."""
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname != "onnxruntime":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, real: importlib.abc.Loader) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._real.exec_module(module)
        _equip(module)


def _equip(ort: Any) -> None:  # noqa: ANN401, C901 - one subject, many small parts
    errors = ort.capi.onnxruntime_pybind11_state

    class SessionOptions(ort.SessionOptions):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.entries: dict[str, str] = {}

        def add_session_config_entry(self, key: str, value: str) -> None:
            self.entries[key] = value
            super().add_session_config_entry(key, value)

    class InferenceSession(ort.InferenceSession):  # type: ignore[misc]
        def __init__(
            self,
            path_or_bytes: str | bytes,
            sess_options: SessionOptions | None = None,
            providers: Sequence[Any] | None = None,
            provider_options: Sequence[dict[str, Any]] | None = None,
            **others: Any,  # noqa: ANN401
        ) -> None:
            named = [one if isinstance(one, tuple) else (one, {}) for one in providers or ()]
            if provider_options:
                named = [(name, options) for (name, _), options in zip(named, provider_options, strict=True)]
            self.on_card = bool(named) and named[0][0] == CUDA
            self.answers: dict[tuple[int, ...], Any] = {}
            self.has_run = False
            # A session keeps to what it was made with; the next one may find other settings.
            self.settings = own_settings()
            self.given: dict[str, Any] = {}
            # Each replays the addresses that were bound when it was captured.
            self.graphs: dict[str, IOBinding] = {}
            if self.on_card:
                self.given = dict(named[0][1])
                self._create(self.given, sess_options)
            super().__init__(path_or_bytes, sess_options, providers=[CPU], **others)

        def _create(self, given: dict[str, Any], options: SessionOptions | None) -> None:
            entries = getattr(options, "entries", {})
            settings = self.settings
            if settings.log:
                line = {
                    "pid": os.getpid(),
                    "environment": dict(os.environ),
                    "provider_options": given,
                    "entries": entries,
                    "threads": options.intra_op_num_threads if options else 0,
                    "memory_pattern": options.enable_mem_pattern if options else True,
                }
                with Path(settings.log).open("a") as file:
                    file.write(json.dumps(line) + "\n")
            if refused := sorted({*given, *entries}.intersection(settings.refuses)):
                raise errors.Fail(f"[ONNXRuntimeError] : 1 : FAIL : CUDA does not take {refused[0]}")
            if settings.fails_at_creation:
                raise errors.Fail(settings.fails_at_creation)

        def get_providers(self) -> list[str]:
            return [CUDA, CPU] if self.on_card else list(super().get_providers())

        def get_provider_graph_assignment_info(self) -> Any:  # noqa: ANN401
            if not self.on_card:
                return super().get_provider_graph_assignment_info()
            nodes = [SimpleNamespace(op_type=operator) for operator in self.settings.cpu_nodes]
            return [SimpleNamespace(ep_name=CPU, get_nodes=lambda: nodes)] if nodes else []

        def take(self, batch: int) -> None:
            """What a run does before it calculates."""
            settings = self.settings
            first, self.has_run = not self.has_run, True
            if first and cudnn_is_spoilt():
                raise errors.Fail(NO_CUDNN)
            if first and settings.fails_at_first_run:
                raise errors.Fail(settings.fails_at_first_run)
            if settings.memory_above_batch and batch > settings.memory_above_batch:
                raise errors.RuntimeException(OUT_OF_MEMORY.format(room=1 << 20, wanted=1 << 30))
            time.sleep(settings.seconds_per_run + batch * settings.seconds_per_frame)

        def run(self, output_names: Sequence[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> Any:  # noqa: ANN401
            if not self.on_card:
                return super().run(output_names, input_feed, run_options)
            shape = tuple(next(iter(input_feed.values())).shape)
            self.take(shape[0])
            if self.graph_of(run_options):
                raise errors.Fail("a graph can only be captured of a run with bound inputs and outputs")
            if self.settings.calculates:
                return super().run(output_names, input_feed, run_options)
            if shape not in self.answers:
                self.answers[shape] = super().run(output_names, input_feed, run_options)
            return [array.copy() for array in self.answers[shape]]

        def graph_of(self, run_options: Any) -> str:  # noqa: ANN401
            """The number of the graph that a run belongs to; empty where to none."""
            if self.given.get("enable_cuda_graph") != "1":
                return ""
            number = str(run_options.get_run_config_entry("gpu_graph_id")) if run_options is not None else "0"
            return "" if number == "-1" else number

        def run_with_iobinding(self, iobinding: Any, run_options: Any = None) -> None:  # noqa: ANN401
            if self.on_card:
                self.take(iobinding.batch)
                if graph := self.graph_of(run_options):
                    if graph not in self.graphs and self.settings.fails_at_capture:
                        raise errors.Fail(self.settings.fails_at_capture)
                    iobinding = self.graphs.setdefault(graph, iobinding)
                if not self.settings.calculates and iobinding.answered:
                    return
                iobinding.answered = True
            super().run_with_iobinding(iobinding, run_options)
            if set(self.given).intersection(self.settings.breaks):
                planes = iobinding.get_outputs()[0]
                planes.update_inplace(planes.numpy() ^ 8)

        def io_binding(self) -> IOBinding:
            return IOBinding(self)

    class IOBinding(ort.IOBinding):  # type: ignore[misc]
        batch = 1
        answered = False

        def bind_ortvalue_input(self, name: str, ortvalue: Any) -> None:  # noqa: ANN401
            self.batch = ortvalue.shape()[0]
            super().bind_ortvalue_input(name, ortvalue)

        def bind_output(self, name: str, *_: Any) -> None:  # noqa: ANN401
            self.answered = False
            super().bind_output(name, "cpu")

        def get_outputs(self) -> list[OrtValue]:
            return [OrtValue(value._ortvalue) for value in super().get_outputs()]  # noqa: SLF001

    class OrtValue(ort.OrtValue):  # type: ignore[misc]
        @staticmethod
        def ortvalue_from_numpy(numpy_obj: Any, device_type: str = "cpu", *others: Any, **named: Any) -> Any:  # noqa: ANN401
            if device_type != "cuda":
                return ort_value.ortvalue_from_numpy(numpy_obj, device_type, *others, **named)
            # On a card it is memory of its own.
            copied = numpy_obj.copy()
            made = OrtValue(ort_value.ortvalue_from_numpy(copied, "cpu")._ortvalue)  # noqa: SLF001
            made.memory = copied
            return made

        @staticmethod
        def ortvalue_from_shape_and_type(shape: Any, element_type: Any, device_type: str = "cpu", *_: Any) -> Any:  # noqa: ANN401
            made = ort_value.ortvalue_from_shape_and_type(shape, element_type, "cpu")
            return OrtValue(made._ortvalue) if device_type == "cuda" else made  # noqa: SLF001

        def device_name(self) -> str:
            return "cuda"

        def numpy(self) -> Any:  # noqa: ANN401
            return super().numpy().copy()

    ort_value = ort.OrtValue
    ort.SessionOptions, ort.InferenceSession = SessionOptions, InferenceSession
    ort.IOBinding, ort.OrtValue = IOBinding, OrtValue
    ort.get_available_providers = lambda: [CUDA, CPU]
    ort.preload_dlls = lambda *_, **__: sys.stdout.write(own_settings().not_loaded)
