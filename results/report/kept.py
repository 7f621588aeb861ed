"""What a page written before already says of the same trials, so that it is not worked out again.

Which decisions matter takes a model, and importing what makes it: most of the time of a report. A page holds what was
found with a digest of what it was found from; the next page that is written to the same place takes it from there.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from results import analysis
from results.rows import Row

HEAD, LAST = 262_144, 200
"""Characters of a page that are looked through, and trials whose numbers are part of the digest."""

_KEPT = re.compile(r'<script type="application/json" id="report-kept">(.*?)</script>', re.DOTALL)


def taken(
    page: Path | None, facts: Mapping[str, Any], rows: Sequence[Row], make: Callable[[], Mapping[str, Any]]
) -> dict[str, Any]:
    """{"digest", "decisions"}: what the page at this place holds for these trials, or else what `make` gives."""
    digest = digest_of(facts, rows)
    before = _read(page) if page is not None else None
    if before is not None and before.get("digest") == digest and isinstance(before.get("decisions"), dict):
        return before
    return {"digest": digest, "decisions": make()}


def digest_of(facts: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """A digest of the run, of how far it is, and of the code that looks at it. Trials are only ever appended."""
    said = [facts.get("started"), facts.get("objectives"), len(rows)]
    said += [[row.id, row.status.value, dict(row.metrics), row.packed_decisions] for row in rows[-LAST:]]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode())
    for path in analysis.__path__:
        for file in sorted(Path(path).glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _read(page: Path) -> dict[str, Any] | None:
    try:
        with page.open(encoding="utf-8") as file:
            head = file.read(HEAD)
    except (OSError, UnicodeDecodeError):  # there is none yet, or it is not a page
        return None
    found = _KEPT.search(head)
    try:
        value = json.loads(found[1]) if found else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
