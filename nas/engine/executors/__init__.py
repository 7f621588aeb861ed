"""Executors: where evaluations run. Each registers itself by its name."""

import nas.engine.executors.local
import nas.engine.executors.ray  # noqa: F401
