"""In which ways the processes of a run can share the work."""

from __future__ import annotations


def layouts_of(world: int) -> list[tuple[int, int, int]]:
    """All (dp, tp, pp) with dp · tp · pp = world."""
    sizes = [size for size in range(1, world + 1) if world % size == 0]
    return [(dp, tp, world // (dp * tp)) for dp in sizes for tp in sizes if world % (dp * tp) == 0]
