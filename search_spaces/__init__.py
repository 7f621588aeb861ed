"""The concrete search spaces, each declared once in a file of its own."""

from search_spaces import nas_bench_201, nas_bench_macro

__all__ = ["nas_bench_201", "nas_bench_macro"]
