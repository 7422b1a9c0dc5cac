"""The GPU: driver, cards, libraries by which ONNX Runtime reaches them, and NVIDIA's multi-process service."""

from __future__ import annotations

from collections.abc import Sequence

from actors.files.node_facts import LIBRARIES, Card, Library, NodeFacts
from jobs.doctor.finding import Finding, error, ok, warning
from jobs.inputs.options import DeviceChoice

# CUDA 13 needs it.
LEAST_DRIVER = 580
# A card of which more is taken has other users.
TAKEN_SHARE = 0.2
INSTALL = "run: pip install -c constraints.txt '.[cuda]', or name their folder in LD_LIBRARY_PATH"
# Loaded where cuDNN compiles a kernel while it runs; most networks do without.
OPTIONAL = frozenset({"libnvrtc.so.13"})


def wants_cuda(facts: NodeFacts, device: DeviceChoice) -> bool:
    """Whether a node's network would run on a GPU."""
    return device is DeviceChoice.CUDA or (device is DeviceChoice.AUTO and (facts.gpu_shown or bool(facts.cards)))


def check_gpu(facts: NodeFacts, device: DeviceChoice) -> list[Finding]:
    """Everything about the GPU; one line where there is none, or where none is to be used."""
    if not wants_cuda(facts, device):
        return [ok("gpu", "not looked at" if device is DeviceChoice.CPU else "none, runs on CPUs")]
    return [check_driver(facts), *check_cards(facts.cards, mps=facts.mps), check_libraries(facts.libraries)]


def check_driver(facts: NodeFacts) -> Finding:
    """NVIDIA's driver."""
    subject, fix = "gpu driver", f"install NVIDIA's driver {LEAST_DRIVER} or newer, and give it to the container"
    if not facts.cards:
        shown = "the system shows a GPU, but nvidia-smi lists none" if facts.gpu_shown else "there is none"
        return error(subject, shown, fix)
    driver = facts.cards[0].driver
    major = driver.partition(".")[0]
    if major.isdecimal() and int(major) < LEAST_DRIVER:
        return error(subject, f"{driver} is too old for CUDA 13", fix)
    return ok(subject, driver)


def check_cards(cards: Sequence[Card], *, mps: bool) -> list[Finding]:
    """Each card, and whether several workers share it well."""
    found = []
    for index, card in enumerate(cards):
        subject, free = f"gpu {index}", card.memory - card.taken
        told = f"{card.name}, {free / 2**30:.1f} of {card.memory / 2**30:.1f} GiB free"
        if card.exclusive and not mps:
            fix = "run: nvidia-smi --compute-mode=0, or start nvidia-cuda-mps-control"
            found.append(error(subject, f"{told}; one process alone may use it, and workers are several", fix))
        elif card.taken > TAKEN_SHARE * card.memory:
            found.append(warning(subject, f"{told}: others use it", "end them, or give --gpus-per-worker less"))
        else:
            found.append(ok(subject, told))
    if cards:
        running = "runs: workers' kernels may overlap" if mps else "does not run: workers take turns on a card"
        found.append(ok("gpu mps", running))
    return found


def check_libraries(libraries: Sequence[Library]) -> Finding:
    """The libraries of CUDA and cuDNN, each with its version and the folder that it was found in."""
    subject = "gpu libraries"
    missing = [one.name for one in libraries if not one.path and one.name not in OPTIONAL]
    if missing:
        driver = [name for name in missing if not LIBRARIES[name]]
        fix = "install NVIDIA's driver, and give it to the container" if driver == missing else INSTALL
        return error(subject, f"{', '.join(missing)} found neither beside ONNX Runtime nor by the system", fix)
    lacking = [one.name for one in libraries if not one.path]
    folders: dict[str, list[str]] = {}
    for one in libraries:
        folder, _, name = one.path.rpartition("/")
        if one.path:
            folders.setdefault(folder, []).append(f"{name}{f' ({one.version})' if one.version else ''}")
    told = "; ".join(f"{', '.join(names)} in {folder}" for folder, names in folders.items())
    return warning(subject, f"{', '.join(lacking)} not found; {told}", INSTALL) if lacking else ok(subject, told)
