"""How the backgrounds that clips share are prepared: decided once for each set, by all clips known to need it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from jobs.planning.preparation import BackgroundSizes, Demand, Preparation, plan_shared


@dataclass(slots=True)
class _Set:
    network: str
    sizes: BackgroundSizes
    demand: Demand
    clips: int = 1
    preparation: Preparation | None = None
    name: str = ""


class BackgroundSets:
    """The sets of backgrounds that clips need which have been read and have not ended.

    Whether a network's face encoder runs ahead is the same for all sets: workers with and without would be workers of
    two networks.

    Args:
        store: bytes of the smallest node's object store.
    """

    def __init__(self, store: int) -> None:
        self._store = store
        self._sets: dict[str, _Set] = {}
        self._faces: dict[str, bool] = {}
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._sets)

    def expect(self, backgrounds: str, network: str, sizes: BackgroundSizes, demand: Demand) -> None:
        """A clip has been read that needs a set."""
        found = self._sets.get(backgrounds)
        if found is None:
            self._sets[backgrounds] = _Set(network, sizes, demand)
        else:
            found.clips += 1
            found.demand += demand

    def leave(self, backgrounds: str) -> None:
        """A clip that needed a set has ended, one way or another."""
        found = self._sets[backgrounds]
        found.clips -= 1
        if not found.clips:
            del self._sets[backgrounds]

    def plan(self, backgrounds: str) -> tuple[Preparation, str]:
        """How a set is prepared, and what it is called among the blocks.

        A set that comes again after all its clips had ended may be laid out otherwise, and has another name.

        Raises:
            InputError: the store cannot even hold single frames.
        """
        found = self._sets[backgrounds]
        if found.preparation is None:
            faces = self._faces.get(found.network)
            if faces is None:
                alike = [each for each in self._sets.values() if each.network == found.network]
                faces = all(plan_shared(each.sizes, each.demand, self._store).faces for each in alike)
                self._faces[found.network] = faces
            found.preparation = plan_shared(found.sizes, found.demand, self._store, faces=faces)
            found.name = f"{backgrounds}-{next(self._numbers)}"
        return found.preparation, found.name
