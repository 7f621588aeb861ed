"""What a network's source takes over from elsewhere: helper modules of the engine, classes of the user, imports."""

from __future__ import annotations

import inspect
import sys
import sysconfig
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from nas.core import modules
from nas.core.errors import ExportError
from nas.core.imports import load_object
from nas.core.table import Call
from results.export.naming import camel
from results.export.slicing import Import, Slice, cut, is_standard, star_imports

OWN_IMPORTS = (
    Import("collections", "OrderedDict", "OrderedDict"),
    Import("pathlib", "Path", "Path"),
    Import("torch", "", "torch"),
    Import("torch", "Tensor", "Tensor"),
    Import("torch", "nn", "nn"),
)
"""What a source may import for itself."""


@dataclass(frozen=True)
class Copied:
    """Texts to put into the source, and how what they hold is called there.

    names: all names that they and their imports bind. kept: for each module beyond torch and the standard library that
    has to be imported: its name and why.
    """

    texts: tuple[str, ...]
    names: frozenset[str]
    kept: tuple[str, ...]
    imports: tuple[Import, ...]
    future: bool
    spelling: Mapping[str, str]

    def spelled(self, call: Call) -> str:
        """How the source names what a call constructs or calls."""
        key = call.args[0] if call.target == "user" else call.target
        return self.spelling.get(key, key)

    def header(self, needed: Iterable[tuple[str, str]]) -> str:
        """The lines of all imports. needed: (module, name) of the source's own, name '' for `import module`."""
        own = [Import(module, name, name or module) for module, name in needed]
        found = {(i.binding, i.target, i.module if not i.name else ""): i for i in (*self.imports, *own)}
        explicit = {(i.binding, i.target) for i in found.values() if i.name}
        kept = [i for i in found.values() if i.name or (i.binding, i.target) not in explicit]
        future = "from __future__ import annotations\n\n" if self.future else ""
        sections = [[i for i in kept if _standard(i.module)], [i for i in kept if not _standard(i.module)]]
        return future + "\n".join(import_lines(section) for section in sections if section)


def import_lines(imports: Sequence[Import]) -> str:
    """Import statements in ruff's order."""
    straight = sorted({(i.module, i.binding) for i in imports if not i.name})
    lines = [
        f"import {module}" if binding == module.partition(".")[0] else f"import {module} as {binding}"
        for module, binding in straight
    ]
    plain: dict[str, set[str]] = {}
    renamed: dict[str, set[tuple[str, str]]] = {}
    for found in imports:
        if found.name == found.binding:
            plain.setdefault(found.module, set()).add(found.name)
        elif found.name:
            renamed.setdefault(found.module, set()).add((found.name, found.binding))
    for module in sorted({*plain, *renamed}):
        names = sorted(plain.get(module, ()), key=_by_type)
        if names:
            flat = f"from {module} import {', '.join(names)}"
            inner = "".join(f"    {name},\n" for name in names)
            lines.append(flat if len(flat) <= 120 else f"from {module} import (\n{inner})")
        lines += [f"from {module} import {name} as {binding}" for name, binding in sorted(renamed.get(module, ()))]
    return "\n".join(lines) + "\n"


def _by_type(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.lower()


def _standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


@dataclass
class _Unit:
    """A file from which names are taken. keys: names in it → the keys under which calls know them."""

    module: ModuleType
    keys: dict[str, list[tuple[str, str]]]
    title: str = ""


class Sources:
    """Copies what calls need. reserved: names that nothing copied may have."""

    def __init__(self, reserved: Collection[str]) -> None:
        self._bound: dict[str, str] = dict.fromkeys(reserved, "the network's own")
        self._bound.update({own.binding: own.target for own in OWN_IMPORTS})
        self._spelling: dict[str, str] = {}
        self._kept: dict[str, None] = {}
        self._imports: list[Import] = []
        self._future = False

    def copy(self, calls: Sequence[Call]) -> Copied:
        """Everything that these calls need. Raises ExportError when a class's source cannot be read."""
        users: dict[str, _Unit] = {}
        helpers: dict[str, list[tuple[str, str]]] = {}
        for call in calls:
            if call.target == "user" and call.args[0] not in self._spelling:
                self._user(call.args[0], users)
            elif call.target.startswith("modules."):
                helpers.setdefault(call.target.partition(".")[2], [(call.target, "")])
            elif call.target.startswith("operator."):
                self._spelling.setdefault(call.target, call.target)
        texts = [self._take(unit) for unit in users.values()]
        if helpers:
            texts.insert(0, self._take(_Unit(modules, helpers)))
        return Copied(
            tuple(texts), frozenset(self._bound), tuple(self._kept), tuple(self._imports), self._future, self._spelling
        )

    def _user(self, text: str, units: dict[str, _Unit]) -> None:
        """Find the file of a user's class; a class of torch or of an installed package is imported instead."""
        thing = load_object(text)
        module, name = _home(text, thing)
        root, _, rest = name.partition(".")
        if module.__name__.partition(".")[0] == "torch":
            if getattr(nn, name, None) is thing:
                self._spelling[text] = f"nn.{name}"
                return
            self._import(Import(module.__name__, root, root), text, rest)
        elif _installed(module):
            self._import(Import(module.__name__, root, root), text, rest)
            self._keep(module.__name__, f"the class {name} is part of an installed package")
        else:
            title = Path(module.__file__ or "").name
            unit = units.setdefault(module.__file__ or module.__name__, _Unit(module, {}, title))
            unit.keys.setdefault(root, []).append((text, rest))

    def _import(self, found: Import, text: str, rest: str) -> None:
        binding = self._free(found.binding, found.target, found.module.rpartition(".")[2])
        self._imports.append(Import(found.module, found.name, binding))
        self._spelling[text] = f"{binding}.{rest}" if rest else binding

    def _keep(self, module: str, why: str) -> None:
        self._kept.setdefault(f"model.py imports {module.partition('.')[0]}, which must be installed: {why}")

    def _take(self, unit: _Unit) -> str:
        try:
            source = inspect.getsource(unit.module)
        except OSError as error:
            raise ExportError(f"{unit.title}: its source cannot be read ({error}); put the class in a file") from error
        package = unit.module.__package__ or ""
        part = _resolved(cut(source, unit.keys, package), source, package, unit)
        stem = Path(unit.title or "plain.py").stem
        home = unit.module.__file__ or unit.module.__name__
        names: dict[str, str] = {}
        for name in part.binds:
            imported = next((found for found in part.imports if found.binding == name), None)
            new = self._free(name, imported.target if imported else f"{home}:{name}", stem)
            if new != name:
                names[name] = new
        part = part.renamed(names)
        self._imports += part.imports
        self._future = self._future or (part.future and bool(unit.title))
        for name, keys in unit.keys.items():
            for key, rest in keys:
                self._spelling[key] = ".".join(word for word in (names.get(name, name), rest) if word)
        if unit.title:
            self._mention(part, unit)
            return f"# ---- copied from {unit.title} ----\n\n\n{part.text}"
        return part.text

    def _mention(self, part: Slice, unit: _Unit) -> None:
        """Note what a copied part needs that cannot be copied with it."""
        inside = [found for statement in part.statements for found in statement.imports]
        for found in (*part.imports, *inside):
            if not is_standard(found.module):
                self._keep(found.module, f"{unit.title} imports it")
        if any("__file__" in statement.needs for statement in part.statements):
            self._kept.setdefault(f"{unit.title} uses __file__, which is another place in the exported folder")

    def _free(self, name: str, target: str, stem: str) -> str:
        """`name`, or another one where it means something else already."""
        new, number = name, 2
        while self._bound.setdefault(new, target) != target:
            word = f"{stem.upper()}_" if name.isupper() else camel(stem) if name[:1].isupper() else f"{stem}_"
            new = f"{word}{name}"
            new = new if new.isidentifier() else f"{name}_"
            if self._bound.get(new, target) != target:
                new, number = f"{new}{number}", number + 1
        return new


def _home(text: str, thing: Any) -> tuple[ModuleType, str]:
    """The module in whose file a class stands, and its name there."""
    place, _, name = text.rpartition(":")
    for where, known in ((getattr(thing, "__module__", ""), getattr(thing, "__qualname__", "")), (place, name)):
        module = sys.modules.get(where)
        found: Any = module
        for part in known.split("."):
            found = getattr(found, part, None)
        if module is not None and found is thing:
            return module, known
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if place.endswith(".py") and file and Path(file).match(Path(place).name) and getattr(module, name, 0) is thing:
            return module, name
    raise ExportError(f"{text}: the file in which it is defined cannot be found; define it at the top level of a file")


def _installed(module: ModuleType) -> bool:
    """Whether a module is an installed package's, not a person's own file."""
    if not getattr(module, "__file__", None) or _standard(module.__name__):
        return module.__name__ != "__main__"
    file = Path(module.__file__ or "").resolve()
    return any(file.is_relative_to(Path(sysconfig.get_path(kind)).resolve()) for kind in ("purelib", "platlib"))


def _resolved(part: Slice, source: str, package: str, unit: _Unit) -> Slice:
    """The slice with imports for names that came by `from module import *`."""
    found = list(part.imports)
    for name in sorted(name for name in part.unknown if not name.startswith("_")):
        for module in star_imports(source, package):
            if hasattr(sys.modules.get(module), name):
                found.append(Import(module, name, name))
                break
    return Slice(part.statements, tuple(found), part.unknown, part.future)
