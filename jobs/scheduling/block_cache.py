"""Which background blocks are held in the object store, loaded and dropped. Pure; the time is an argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from actors.core.ranges import ClipBlock
from jobs.scheduling.actions import Action, DropBlock, LoadBlock

# Ray has rebuilt a lost block from its task several times before it reports the loss.
MAX_BLOCK_LOSSES = 5


class BlockCache:
    """The blocks that open clips need; one that several need is held once.

    Args:
        capacity: bytes that may be held at once.
        loaders: how many blocks may be loading at once, at least 1.

    Attributes:
        capacity: as given.
    """

    def __init__(self, capacity: int, loaders: int) -> None:
        if loaders < 1:
            raise ValueError("without a loader no block is ever there")
        self.capacity = capacity
        self._loaders = loaders
        # How many open clips need each block.
        self._users: Counter[ClipBlock] = Counter()
        self._needed_bytes = 0
        # What each block takes that is needed, held or on its way.
        self._bytes: dict[ClipBlock, int] = {}
        # Blocks on their way, with the time at which they were asked for.
        self._loading: dict[ClipBlock, float] = {}
        self._ready: set[ClipBlock] = set()
        self._losses: Counter[ClipBlock] = Counter()

    @property
    def fits(self) -> bool:
        """Whether everything that open clips need is held at once."""
        return self._needed_bytes <= self.capacity

    def need(self, blocks: Iterable[ClipBlock], size: int) -> None:
        """A clip needs blocks of ``size`` bytes each until it leaves them."""
        for block in blocks:
            if not self._users[block]:
                self._needed_bytes += size
            self._users[block] += 1
            self._bytes[block] = size

    def leave(self, blocks: Iterable[ClipBlock]) -> None:
        """A clip needs these blocks no more."""
        for block in blocks:
            self._users[block] -= 1
            if not self._users[block]:
                del self._users[block]
                self._losses.pop(block, None)
                self._needed_bytes -= self._bytes[block]
                self._forget(block)

    def holds(self, blocks: Iterable[ClipBlock]) -> bool:
        """Whether all of these are there."""
        return self._ready.issuperset(blocks)

    def loaded(self, block: ClipBlock) -> None:
        """A block stands in the object store."""
        self._loading.pop(block, None)
        self._ready.add(block)

    def lost(self, block: ClipBlock) -> bool:
        """A block is gone, or could not be loaded; false where that is known already.

        Every range that needed it reports the loss; only the first report counts.
        """
        if block not in self._ready and block not in self._loading:
            return False
        self._loading.pop(block, None)
        self._ready.discard(block)
        if block in self._users:
            self._losses[block] += 1
        self._forget(block)
        return True

    def refused(self, block: ClipBlock) -> None:
        """A block could not be loaded on behalf of one of the clips that need it, which is not the block's fault."""
        self._loading.pop(block, None)
        self._forget(block)

    def hopeless(self, block: ClipBlock) -> bool:
        """Whether a block has been lost so often that loading it again is of no use."""
        return self._losses[block] >= MAX_BLOCK_LOSSES

    def overdue(self, limit: float, now: float) -> list[ClipBlock]:
        """Blocks that have been loading for more than ``limit`` seconds."""
        return [block for block, since in self._loading.items() if now - since > limit]

    def actions(self, used: Iterable[ClipBlock], upcoming: Iterable[tuple[ClipBlock, ...]], now: float) -> list[Action]:
        """Loads blocks ahead of what needs them; drops those that nobody needs, and, for room, those needed last.

        Args:
            used: the blocks of what workers have; these are never dropped.
            upcoming: the blocks of each range that nobody has yet, in the order in which they will be given out.
            now: the time.
        """
        # Of what is gone and needed by nobody there is nothing to keep.
        wanted = dict.fromkeys(block for block in used if block in self._bytes)
        actions: list[Action] = [
            self._drop(block) for block in sorted(self._ready - self._users.keys() - wanted.keys())
        ]
        if all(block in self._ready or block in self._loading for block in self._users):
            return actions
        taken = self._size(wanted)
        for blocks in upcoming:
            needed = [block for block in blocks if block not in wanted]
            taken += self._size(needed)
            if taken > self.capacity:
                break
            wanted.update(dict.fromkeys(needed))
        held = self._size(self._ready) + self._size(self._loading)
        spare = sorted(self._ready - wanted.keys())
        for block in wanted:
            if block in self._ready or block in self._loading:
                continue
            if len(self._loading) >= self._loaders:
                break
            room = self.capacity - held
            if room + self._size(spare) < self._bytes[block]:
                break
            while room < self._bytes[block]:
                room += self._bytes[spare[0]]
                actions.append(self._drop(spare.pop(0)))
            self._loading[block] = now
            held = self.capacity - room + self._bytes[block]
            actions.append(LoadBlock(block))
        return actions

    def _drop(self, block: ClipBlock) -> DropBlock:
        self._ready.discard(block)
        self._forget(block)
        return DropBlock(block)

    def _forget(self, block: ClipBlock) -> None:
        """Nothing is known of a block any more that nobody needs and that is neither held nor on its way."""
        if block not in self._users and block not in self._ready and block not in self._loading:
            self._bytes.pop(block, None)

    def _size(self, blocks: Iterable[ClipBlock]) -> int:
        return sum(self._bytes[block] for block in blocks)
