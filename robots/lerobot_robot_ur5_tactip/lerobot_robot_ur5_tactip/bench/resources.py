"""What this process holds: threads, sockets, files, children, memory."""

import gc
from dataclasses import asdict, dataclass

import psutil

COUNTS = ("threads", "sockets", "descriptors", "children")
"""What a leak would make more of."""


@dataclass(frozen=True)
class Resources:
    """A count at one moment."""

    threads: int
    """Native threads, those of libraries included."""
    sockets: int
    """Network connections."""
    descriptors: int
    """Open files, sockets and pipes."""
    children: int
    """Processes below this one."""
    memory_mb: float
    """Resident memory [MB]."""


def count_at_rest() -> Resources:
    """What is held now, after what nobody refers to has been let go; no time for a stream, it holds up all threads."""
    gc.collect()
    return count()


def count() -> Resources:
    """What is held now."""
    process = psutil.Process()
    return Resources(
        threads=process.num_threads(),
        sockets=len(process.net_connections()),
        descriptors=process.num_fds(),
        children=len(process.children(recursive=True)),
        memory_mb=process.memory_info().rss / 1e6,
    )


def leaks(first: Resources, last: Resources) -> list[str]:
    """What there is more of in the end, in words."""
    before, after = asdict(first), asdict(last)
    return [
        f"{name}: {before[name]} became {after[name]}"
        for name in COUNTS
        if after[name] > before[name]
    ]
