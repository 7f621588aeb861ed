"""Exact keys on whole benchmarks: how many classes there are, and that the tables agree inside each class."""

from __future__ import annotations

from collections import defaultdict

import pytest

from nas.core.keys import graph_key
from search_spaces.nas_bench_101 import nas_bench_101
from search_spaces.nas_bench_201 import nas_bench_201
from search_spaces.nas_bench_macro import nas_bench_macro

pytestmark = pytest.mark.data


def test_macro_networks_of_one_key_have_one_accuracy_in_the_table(real):
    """3,969 classes, and the authors' accuracies are identical inside every one: identities may stand anywhere."""
    import pandas as pd

    table = pd.read_parquet(real("nas_bench_macro_cifar10.parquet")).set_index("arch")["test_acc_mean"]
    space, classes = nas_bench_macro(), defaultdict(set)
    for candidate in space.enumerate():
        classes[graph_key(candidate.graph)].add(float(table[space.spell(candidate.graph)]))
    assert len(classes) == 3969
    assert all(len(accuracies) == 1 for accuracies in classes.values())


@pytest.mark.slow
def test_cells_of_nas_bench_201():
    """5,875 exact classes, between 4,930 (sums flattened, twins conflated) and 6,466 (skips and zeros folded).

    More than the sums-flattened count since twins stay two nodes, and since a convolution of zeros is not zeros: its
    batch norm has a bias. Fewer than the published one since sums of sums are one sum, and equal pools one pool.
    """
    space = nas_bench_201()
    assert len({graph_key(candidate.graph) for candidate in space.enumerate()}) == 5875


def test_cells_of_nas_bench_101_are_all_different(real):
    import pandas as pd

    space = nas_bench_101()
    rows = pd.read_parquet(real("nas_bench_101.parquet")).sample(400, random_state=0)
    texts = [f"{row.n_vertices}:{row.adjacency}:{row.ops}" for row in rows.itertuples()]
    assert len({graph_key(space.parse(text).graph) for text in texts}) == len(texts)
