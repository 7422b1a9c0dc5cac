"""An audio encoder in an actor of a cluster, for `jobs.audio.feature_making`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
import ray.exceptions

from actors.core.choices import Device
from actors.core.errors import InputError, StoppedError
from actors.files.digests import text_digest
from actors.network.audio_encoder import Encoder, EncoderConfig
from jobs.audio.feature_making import Rows
from jobs.audio.feature_source import EncoderSource

# Batches that an encoder elsewhere holds while this process prepares the next one.
_IN_FLIGHT = 4


class RemoteEncoder:
    """An encoder in an actor's process."""

    def __init__(self, actor: Any) -> None:  # noqa: ANN401 - Ray's handles have no type
        self._actor = actor

    def __call__(self, batches: Iterable[Rows]) -> Iterator[Rows]:
        """Encodes batches, a few at a time."""
        waiting: deque[Any] = deque()
        for batch in batches:
            waiting.append(self._actor.encode.remote(batch))
            if len(waiting) == _IN_FLIGHT:
                yield _answer(waiting.popleft())
        while waiting:
            yield _answer(waiting.popleft())

    def remark(self) -> str:
        """As `Encoder.remark`; to be asked when all is encoded."""
        return str(_answer(self._actor.remark.remote()))


def encoder_config(source: EncoderSource, device: Device, threads: int, gpus: float, code: str) -> EncoderConfig:
    """What an actor's encoder needs to know; ``code`` is this driver's `actors.files.digests.code_digest`."""
    return EncoderConfig(source.encoder, source.tensors, device, threads, gpus, source.digest, code)


@contextmanager
def encoder_actor(config: EncoderConfig, *, cpus: float, wait: float) -> Iterator[RemoteEncoder]:
    """An encoder as an actor of the connected cluster; it is gone afterwards, and its share of a GPU is free again.

    If it dies, Ray starts it elsewhere and asks it again.

    Args:
        config: the encoder's.
        cpus: cores that it takes of Ray's books.
        wait: seconds to wait for it to become ready.

    Yields:
        What encodes batches.

    Raises:
        InputError: the encoder or its device cannot be used.
        StoppedError: no node had room for it.
        RayError: it is lost for good.
    """
    actor = _started(config, cpus)
    try:
        _answer(actor.prepare.remote(), wait)
        yield RemoteEncoder(actor)
    finally:
        ray.kill(actor)


class SharedEncoders:
    """The encoders that all clips of a command use, each started by whoever needs it first; they stay while this does.

    They take no cores of Ray's books: workers have them for as long as the command runs. One that another process has
    started ends with that process; then it is started anew.
    """

    def __init__(self) -> None:
        # Ray ends an actor once the process that started it has let go of it, whoever else knows it by its name.
        self._actors: dict[str, Any] = {}

    @contextmanager
    def encoder(self, config: EncoderConfig, *, wait: float) -> Iterator[RemoteEncoder]:
        """The encoder of a configuration, which stays.

        Args:
            config: the encoder's.
            wait: seconds to wait for it to become ready.

        Yields:
            What encodes batches.

        Raises:
            InputError: the encoder or its device cannot be used.
            StoppedError: no node had room for it.
            RayError: it is lost for good.
        """
        name = f"encoder {text_digest(repr(config))}"
        start = partial(_started, config, 0.0, name=name, get_if_exists=True)
        try:
            actor = self._actors.get(name) or start()
            _answer(actor.prepare.remote(), wait)
        except ray.exceptions.RayActorError:
            actor = start()
            _answer(actor.prepare.remote(), wait)
        self._actors[name] = actor
        yield RemoteEncoder(actor)


def _started(config: EncoderConfig, cpus: float, **named: Any) -> Any:  # noqa: ANN401 - Ray's handles have no type
    options = {"num_cpus": cpus, "num_gpus": config.gpus, "max_restarts": 3, "max_task_retries": 3}
    return ray.remote(Encoder).options(**named, **options).remote(config)


def _answer(reference: Any, wait: float | None = None) -> Any:  # noqa: ANN401 - an answer may be anything
    try:
        return ray.get(reference, timeout=wait)
    except ray.exceptions.GetTimeoutError as error:
        raise StoppedError(
            f"no encoder became ready within {wait:g} s", "see ray status; --wait waits longer"
        ) from error
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, (InputError, StoppedError)):
            raise error.cause from error
        raise
