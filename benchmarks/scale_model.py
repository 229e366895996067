"""How many machines, and what limits them: measured costs of each stage in, hosts and links out.

``python benchmarks/scale_model.py [--costs FILE.toml] [--images 1000000 100000000]`` prints a line for each number of
images a day. The costs are the only input: `scale_costs.py` measures them. `--simulate N` lets N images pass the
same stages block by block (`scale_simulation.py`), and prints how far the two are apart.

A run lists its files in one process first (`listing_ms`). Then four stages work at a time, and the slowest sets the
pace: the share gives the files, the links of the hosts take them, the processors read and score, and the process of
the command takes the outcomes and writes the state. A state has one writer, so more of that needs more runs, each
with a state of its own.
"""

import argparse
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DAY_S = 86_400
_BITS = 8
COSTS = Path(__file__).with_name("scale_costs.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Files of one format.

    Attributes
    ----------
    share : float
        Of all files, 0 to 1.
    read_ms : float
        Processor time to read, check and preprocess one.
    file_mb : float
        Its size in 10⁶ bytes.
    """

    share: float
    read_ms: float
    file_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one image costs, as it was measured.

    Attributes
    ----------
    groups : mapping of str to Group
    network_ms : float
        Processor time of the network.
    copy_ms : float
        Processor time of one copy of a prepared image from a process to the next.
    n_copies : int
        Reader to its task, task to object store, object store to network.
    prepared_mb : float
        Size of a prepared image; in the worst case another host scores it.
    outcome_ms : float
        Processor time of the command's process for an outcome, the state's writer in it.
    disk_ms : float
        For which that writer waits for its disk.
    listing_ms : float
        Processor time of the command's process for each file before and after the images are read.
    start_s : float
        Until the first file is read.
    """

    groups: Mapping[str, Group]
    network_ms: float
    copy_ms: float
    n_copies: int
    prepared_mb: float
    outcome_ms: float
    disk_ms: float
    listing_ms: float
    start_s: float

    @property
    def file_mb(self) -> float:
        """Mean size of a file."""
        return sum(group.share * group.file_mb for group in self.groups.values())

    @property
    def node_ms(self) -> float:
        """Processor time of the hosts for an image."""
        read = sum(group.share * group.read_ms for group in self.groups.values())
        return read + self.network_ms + self.n_copies * self.copy_ms

    @property
    def command_ms(self) -> float:
        """Time of the command's process for an image while others are read."""
        return self.outcome_ms + self.disk_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What there is.

    Attributes
    ----------
    n_processors : int
        Of each host.
    host_gbit, share_gbit : float
        Links of each host and of the share, in 10⁹ bits a second.
    n_runs : int
        Commands at a time, each with a state.
    """

    n_hosts: int
    n_processors: int
    host_gbit: float = 10.0
    share_gbit: float = 10.0
    n_runs: int = 1


def read_costs(path: Path) -> Costs:
    """Read a table of measured costs."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    groups = {name: Group(**group) for name, group in content.pop("groups").items()}
    return Costs(groups=groups, **content)


def rates(costs: Costs, cluster: Cluster) -> dict[str, float]:
    """Compute the images a second that each stage manages by itself."""
    moved_mb = costs.file_mb + costs.prepared_mb
    mb_s = 1e3 / _BITS
    return {
        "share": cluster.share_gbit * mb_s / costs.file_mb,
        "host links": cluster.n_hosts * cluster.host_gbit * mb_s / moved_mb,
        "processors": cluster.n_hosts * cluster.n_processors * 1e3 / costs.node_ms,
        "one writer": cluster.n_runs * 1e3 / costs.command_ms,
    }


def bottleneck(costs: Costs, cluster: Cluster) -> str:
    """Name the slowest stage."""
    found = rates(costs, cluster)
    return min(found, key=found.__getitem__)


def duration_s(n_images: int, costs: Costs, cluster: Cluster) -> float:
    """Compute how long so many images take, all of them new."""
    listing_s = n_images / cluster.n_runs * costs.listing_ms / 1e3
    return costs.start_s + listing_s + n_images / min(rates(costs, cluster).values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """What so many images a day need.

    Attributes
    ----------
    hours : dict of str to float
        That one of each would be busy: a host, its link, the share's link, a run with its state.
    share_gbit, host_gbit : float
        That flow on average while files are read.
    """

    n_images: int
    cluster: Cluster
    hours: dict[str, float]
    share_gbit: float
    host_gbit: float

    @property
    def bottleneck(self) -> str:
        """What is busy longest in such a cluster; there is one share."""
        n_hosts, n_runs = self.cluster.n_hosts, self.cluster.n_runs
        units = {"processors": n_hosts, "host links": n_hosts, "share": 1, "one writer": n_runs}
        return max(units, key=lambda name: self.hours[name] / units[name])


def size(n_images: int, costs: Costs, host: Cluster, busy: float) -> Sizing:
    """Find the fewest runs and hosts that get through so many images in a day.

    Parameters
    ----------
    host : Cluster
        With the processors and the links of a host, and the link of the share.
    busy : float
        Share of the day in which they may work, 0 to 1: machines fail, and work comes in waves.
    """
    day_s = busy * DAY_S
    one = Cluster(
        n_hosts=1, n_processors=host.n_processors, host_gbit=host.host_gbit, share_gbit=host.share_gbit
    )
    hours = {name: n_images / rate / 3600 for name, rate in rates(costs, one).items()}
    hours["one writer"] += n_images * costs.listing_ms / 3.6e6
    n_runs = math.ceil(hours["one writer"] * 3600 / day_s)
    left_s = day_s - costs.start_s - n_images / n_runs * costs.listing_ms / 1e3
    n_hosts = math.ceil(max(hours["processors"], hours["host links"]) * 3600 / left_s)
    gbit = n_images / left_s * _BITS / 1e3
    return Sizing(
        n_images=n_images,
        cluster=Cluster(
            n_hosts=n_hosts,
            n_processors=host.n_processors,
            host_gbit=host.host_gbit,
            share_gbit=host.share_gbit,
            n_runs=n_runs,
        ),
        hours=hours,
        share_gbit=gbit * costs.file_mb,
        host_gbit=gbit * (costs.file_mb + costs.prepared_mb) / n_hosts,
    )


def line(sizing: Sizing) -> str:
    """Show a sizing as a row of the table."""
    hours = " | ".join(f"{sizing.hours[name]:.1f}" for name in _STAGES)
    found = sizing.cluster
    links = f"{sizing.share_gbit:.2f} | {sizing.host_gbit:.2f}"
    return f"| {sizing.n_images:,} | {hours} | {found.n_hosts} | {found.n_runs} | {links} | {sizing.bottleneck} |"


_STAGES = ("processors", "host links", "share", "one writer")
_HEAD = (
    "| images a day | "
    + " | ".join(f"{name}, hours" for name in _STAGES)
    + " | hosts | runs | share, Gbit/s | host, Gbit/s | bottleneck |\n|"
    + "---:|" * (len(_STAGES) + 5)
    + "---|"
)


def main() -> None:
    """Print the table, and a simulation where one is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--costs", type=Path, default=COSTS)
    parser.add_argument("--images", type=int, nargs="+", default=[10**6, 10**8], help="a day")
    parser.add_argument("--processors", type=int, default=16, help="of a host")
    parser.add_argument("--host-gbit", type=float, default=10.0, help="link of a host")
    parser.add_argument("--share-gbit", type=float, default=10.0, help="link of the share")
    parser.add_argument("--busy", type=float, default=0.7, help="share of the day in which all may work")
    parser.add_argument("--simulate", type=int, metavar="N", help="images, on one to four such hosts")
    options = parser.parse_args()
    costs = read_costs(options.costs)
    host = Cluster(
        n_hosts=1,
        n_processors=options.processors,
        host_gbit=options.host_gbit,
        share_gbit=options.share_gbit,
    )
    print(
        f"{costs.node_ms:.1f} ms of hosts, {costs.command_ms:.2f} ms of the command, {costs.file_mb:.1f} MB"
    )
    print(_HEAD)
    for n_images in options.images:
        print(line(size(n_images, costs, host, options.busy)))
    if options.simulate:
        from benchmarks.scale_simulation import compare  # noqa: PLC0415 - it imports this module

        print("\n".join(compare(options.simulate, costs, host)))


if __name__ == "__main__":
    main()
