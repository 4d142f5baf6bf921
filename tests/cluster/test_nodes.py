"""Two nodes, of which one dies in the middle."""

import pytest

from giantkiller import Screener
from giantkiller.files import judge_with, screen_file

pytest.importorskip("ray")

import ray

from giantkiller.cluster import screen


@pytest.mark.slow
def test_a_node_that_dies_loses_nothing(tmp_path, tiny_bundle, monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for i in range(6):
        lines = (f'{{"text": "comment {i} {row} you idiot"}}\n' for row in range(15_000))
        (folder / f"{i}.jsonl").write_text("".join(lines))
    store = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=store)
    try:
        second = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
        cluster.wait_for_nodes()
        removed = []

        def remove(summary):
            if summary.done and not removed:
                removed.append(second)
                cluster.remove_node(second, allow_graceful=False)

        found = screen(folder, out, tiny_bundle, address=cluster.address, workers=2, progress=remove)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert removed
    assert (found.done, found.failed, found.rows) == (6, {}, 90_000)
    judge = judge_with(Screener(tiny_bundle))
    for source in folder.iterdir():
        screen_file(source, tmp_path / "local" / source.name, judge)
        assert (out / source.name).read_bytes() == (tmp_path / "local" / source.name).read_bytes()
    assert {path.name for path in out.iterdir()} == {"_manifest.json", *(f"{i}.jsonl" for i in range(6))}
