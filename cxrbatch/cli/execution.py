"""Declare the options that say how a run executes: on which machines, with how many processes."""

import click

from cxrbatch._lib.ranges import MOST_IN_BATCH, MOST_WORKERS

EXECUTION = (
    click.Option(
        ["--batch-size"],
        type=click.IntRange(1, MOST_IN_BATCH),
        help="Images per batch of TensorFlow.  [default: 32 on a CPU, 64 on a GPU]",
    ),
    click.Option(
        ["--workers"],
        type=click.IntRange(1, MOST_WORKERS),
        help="Worker processes.  [default: one per processor]",
    ),
    click.Option(
        ["--decode"],
        type=click.Choice(["reduced", "full"]),
        default="reduced",
        show_default=True,
        help="How much of a large radiograph: as many pixels as the network needs, or all, which is slower.",
    ),
)

CLUSTER = (
    click.Option(
        ["--engine"],
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="This machine, or a Ray cluster (docs/cluster.md); the scores are the same.",
    ),
    click.Option(
        ["--ray-address"],
        metavar="HOST:PORT|auto",
        help="With --engine ray: the cluster to join.  [default: Ray is started on this machine alone]",
    ),
)
"""Options of commands that may work on many machines."""
