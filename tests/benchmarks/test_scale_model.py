"""The scale model can be computed by hand; the simulation of the same stages agrees with it where it must."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import scale_model
from benchmarks.scale_model import Cluster, Costs, Group, bottleneck, duration_s, rates, read_costs, size
from benchmarks.scale_simulation import BLOCK, compare, simulate

COSTS = Costs(
    groups={
        "one": Group(share=0.75, read_ms=20.0, file_mb=8.0),
        "other": Group(share=0.25, read_ms=60.0, file_mb=16.0),
    },
    network_ms=4.0,
    copy_ms=2.0,
    n_copies=3,
    prepared_mb=2.5,
    outcome_ms=0.5,
    disk_ms=1.5,
    listing_ms=0.25,
    start_s=10.0,
)
ONE = Cluster(n_hosts=1, n_processors=4, host_gbit=1.0, share_gbit=2.0)
FAST = 1e9
"""Gbit/s of a link that is never waited for."""


def test_an_image_costs_the_mean_of_its_format_the_network_and_the_copies() -> None:
    assert COSTS.node_ms == 0.75 * 20 + 0.25 * 60 + 4 + 3 * 2 == 40
    assert COSTS.file_mb == 10
    assert COSTS.command_ms == 2


def test_each_stage_manages_so_many_images_a_second() -> None:
    assert rates(COSTS, ONE) == {
        "share": 2 * 125 / 10,
        "host links": 125 / 12.5,
        "processors": 4 / 0.040,
        "one writer": 500,
    }
    assert rates(COSTS, replace(ONE, n_hosts=3, n_runs=2)) == {
        "share": 25,
        "host links": 30,
        "processors": 300,
        "one writer": 1000,
    }


@pytest.mark.parametrize(
    ("cluster", "slowest", "seconds"),
    [
        (ONE, "host links", 10 + 250 + 100_000),
        (replace(ONE, n_hosts=3), "share", 10 + 250 + 40_000),
        (replace(ONE, host_gbit=FAST, share_gbit=FAST), "processors", 10 + 250 + 10_000),
        (replace(ONE, n_hosts=9, host_gbit=FAST, share_gbit=FAST), "one writer", 10 + 250 + 2000),
        (replace(ONE, n_hosts=9, host_gbit=FAST, share_gbit=FAST, n_runs=2), "processors", 135 + 1e6 / 900),
    ],
)
def test_a_million_images_take_as_long_as_the_slowest_stage(
    cluster: Cluster, slowest: str, seconds: float
) -> None:
    assert bottleneck(COSTS, cluster) == slowest
    assert duration_s(1_000_000, COSTS, cluster) == pytest.approx(seconds)


def test_a_day_needs_the_fewest_hosts_and_runs_that_fit_into_it() -> None:
    found = size(10**7, COSTS, replace(ONE, host_gbit=10.0), busy=0.5)
    assert found.hours == pytest.approx(
        {"share": 400 / 3.6, "host links": 100 / 3.6, "processors": 100 / 3.6, "one writer": 6.25}
    )
    left_s = 43_200 - 10 - 2500
    assert (found.cluster.n_runs, found.cluster.n_hosts) == (1, 3)  # 100,000 s of one host, 40,690 s of a day
    assert found.share_gbit == pytest.approx(1e7 * 10 * 8 / 1e3 / left_s)
    assert found.host_gbit == pytest.approx(1e7 * 12.5 * 8 / 1e3 / left_s / 3)
    assert found.bottleneck == "share"  # 111 hours of one share


def test_what_one_writer_does_not_manage_is_done_by_several_runs() -> None:
    one = size(19_000_000, COSTS, replace(ONE, host_gbit=FAST, share_gbit=FAST), busy=0.5)
    two = size(20_000_000, COSTS, replace(ONE, host_gbit=FAST, share_gbit=FAST), busy=0.5)
    assert (one.cluster.n_runs, two.cluster.n_runs) == (1, 2)  # 2.25 ms an image: 19.2 million in 43,200 s
    assert one.bottleneck == "one writer"


def test_the_sized_cluster_gets_through_its_day_and_a_host_fewer_does_not() -> None:
    host = replace(ONE, host_gbit=10.0, share_gbit=FAST)
    for n_images in (10**6, 10**7, 10**8):
        cluster = size(n_images, COSTS, host, busy=0.7).cluster
        assert duration_s(n_images, COSTS, cluster) <= 0.7 * 86_400
        fewer = replace(cluster, n_hosts=cluster.n_hosts - 1)
        assert not fewer.n_hosts or duration_s(n_images, COSTS, fewer) > 0.7 * 86_400


# --- the simulation


def test_a_block_alone_passes_all_stages_one_after_the_other() -> None:
    alike = replace(COSTS, groups={"one": Group(share=1.0, read_ms=30.0, file_mb=10.0)})
    listing_s, share_s, link_s, processor_s, command_s = 0.016, 2.56, 6.4, 2.56, 0.128
    expected = 10 + listing_s + share_s + link_s + processor_s + command_s
    assert simulate(BLOCK, alike, ONE) == pytest.approx(expected)
    assert simulate(2 * BLOCK, alike, ONE) == pytest.approx(expected + listing_s + link_s)


@pytest.mark.parametrize(
    "cluster",
    [
        ONE,
        replace(ONE, n_hosts=3),
        replace(ONE, host_gbit=FAST, share_gbit=FAST),
        replace(ONE, n_hosts=9, host_gbit=FAST, share_gbit=FAST),
    ],
    ids=["host links", "share", "processors", "one writer"],
)
def test_a_long_simulation_takes_as_long_as_the_model_says(cluster: Cluster) -> None:
    n_images = 1000 * BLOCK
    assert simulate(n_images, COSTS, cluster, seed=3) == pytest.approx(
        duration_s(n_images, COSTS, cluster), rel=0.02
    )


def test_a_simulation_is_never_faster_than_its_slowest_stage_and_repeats_itself() -> None:
    alike = replace(COSTS, groups={"one": Group(share=1.0, read_ms=30.0, file_mb=10.0)})
    for n_hosts in (1, 2, 5):
        cluster = replace(ONE, n_hosts=n_hosts)
        assert simulate(100 * BLOCK, alike, cluster) >= duration_s(100 * BLOCK, alike, cluster)
    assert simulate(64_000, COSTS, ONE, seed=1) == simulate(64_000, COSTS, ONE, seed=1)
    assert simulate(64_000, COSTS, ONE, seed=1) != simulate(64_000, COSTS, ONE, seed=2)


# --- tables


def test_costs_are_read_from_a_table_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.scale_costs import table

    path = tmp_path / "costs.toml"
    path.write_text("\n".join(table(COSTS)), encoding="utf-8")
    assert read_costs(path) == COSTS
    monkeypatch.setattr("sys.argv", ["scale_model.py", "--costs", str(path), "--images", "1000000"])
    scale_model.main()
    assert capsys.readouterr().out.splitlines()[-1] == (
        "| 1,000,000 | 0.7 | 2.8 | 2.2 | 0.6 | 1 | 1 | 1.33 | 1.66 | host links |"
    )
    *_, last = compare(6400, COSTS, ONE)
    assert last.endswith("| share |")


def test_the_measured_costs_of_the_repository_are_complete() -> None:
    costs = read_costs(scale_model.COSTS)
    assert sum(group.share for group in costs.groups.values()) == pytest.approx(1, abs=0.001)
    assert min(costs.node_ms, costs.command_ms, costs.listing_ms) > 0
