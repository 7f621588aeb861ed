"""The concrete search spaces, each declared once in a file of its own; importing this registers them all."""

from search_spaces import cnn, nas_bench_101, nas_bench_201, nas_bench_macro, resnet_pooling, tree

__all__ = ["cnn", "nas_bench_101", "nas_bench_201", "nas_bench_macro", "resnet_pooling", "tree"]
