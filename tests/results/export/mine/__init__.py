"""Modules as users write them: what exports have to copy."""

from tests.results.export.mine.common import halved

__all__ = ["halved"]
