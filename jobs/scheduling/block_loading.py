"""Background blocks in the object store: loaded on the nodes that render, held, and dropped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.core.ranges import ClipBlock

# How often Ray itself runs a loading task again, before it says that the block is lost.
LOAD_RETRIES = 3


class BlockLoading:
    """The blocks that are held or on their way.

    Attributes:
        nodes: ids of the nodes that blocks are loaded on: those where frames are rendered, never a head that only
            schedules.
    """

    def __init__(
        self,
        loader: Callable[..., tuple[Any, Any]],
        nodes: Iterable[str],
    ) -> None:
        self._load: Any = ray.remote(num_cpus=0, num_returns=2, max_retries=LOAD_RETRIES)(loader)
        self.nodes = list(nodes)
        self._refs: dict[ClipBlock, Any] = {}

    def load(self, block: ClipBlock, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - Ray's references are generic
        """Begins to load a block, with these arguments for the loader; ``nodes`` must not be empty.

        Returns:
            The reference of its receipt, which comes back instead of the block: asking for a block would copy it to the
            driver's node.
        """
        # Soft: a node may be gone by the time its task starts.
        strategy = NodeAffinitySchedulingStrategy(self.nodes[block.number % len(self.nodes)], soft=True)
        self._refs[block], receipt = self._load.options(scheduling_strategy=strategy).remote(*arguments)
        return receipt

    def cancel(self, block: ClipBlock) -> None:
        """Ends a load that takes too long."""
        ray.cancel(self._refs.pop(block), force=True)

    def forget(self, block: ClipBlock) -> None:
        """Lets go of a block, if it is held."""
        self._refs.pop(block, None)

    def refs(self, blocks: Collection[ClipBlock]) -> dict[ClipBlock, Any]:
        """References to blocks that are held."""
        return {block: self._refs[block] for block in blocks}

    def same(self, given: dict[ClipBlock, Any]) -> list[ClipBlock]:
        """Those of some blocks that are still held by the same reference: the others were loaded anew since."""
        return [block for block, ref in given.items() if self._refs.get(block) is ref]
