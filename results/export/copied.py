"""What a network's source takes over from elsewhere: helper modules of the engine, classes of the user, imports."""

from __future__ import annotations

import inspect
import sys
import sysconfig
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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


NOTHING = Slice((), (), frozenset(), False)


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
    """A file from which names are taken. title: what to call it in a comment; '' for the engine's own helpers."""

    module: ModuleType
    title: str
    names: set[str] = field(default_factory=set)
    part: Slice = NOTHING
    final: dict[str, str] = field(default_factory=dict)

    @property
    def package(self) -> str:
        return self.module.__package__ or ""


class Sources:
    """Copies what calls need. reserved: names that nothing copied may have.

    Modules of a person's own that the copied part imports names from are copied from too. Packages that are installed
    are imported.
    """

    def __init__(self, reserved: Collection[str]) -> None:
        self._bound: dict[str, str] = dict.fromkeys(reserved, "the network's own")
        self._bound.update({own.binding: own.target for own in OWN_IMPORTS})
        self._spelling: dict[str, str] = {}
        self._kept: dict[str, None] = {}
        self._imports: list[Import] = []
        self._units: dict[str, _Unit] = {}
        self._wanted: dict[str, tuple[_Unit, str]] = {}

    def copy(self, calls: Sequence[Call]) -> Copied:
        """Everything that these calls need. Raises ExportError when a class's source cannot be read."""
        for call in calls:
            if call.target == "user" and call.args[0] not in self._spelling:
                self._user(call.args[0])
        for call in calls:
            if call.target.startswith("modules."):
                self._want(call.target, modules, call.target.partition(".")[2], title="")
        for unit in self._units.values():
            self._name(unit)
        for key, (unit, name) in self._wanted.items():
            root, _, rest = name.partition(".")
            self._spelling[key] = ".".join(word for word in (self._final(unit, root), rest) if word)
        units = self._in_order()
        return Copied(
            tuple(self._text(unit) for unit in units if unit.part.statements),
            frozenset(self._bound),
            tuple(self._kept),
            tuple(self._imports),
            any(unit.part.future and unit.title for unit in units),
            self._spelling,
        )

    # ---- what is needed ----------------------------------------------------------------------------------------------

    def _user(self, text: str) -> None:
        """Find the file of a user's class; a class of torch or of an installed package is imported instead."""
        thing = load_object(text)
        module, name = _home(text, thing)
        root, _, rest = name.partition(".")
        own = module.__name__.partition(".")[0] == "torch"
        if own and getattr(nn, name, None) is thing:
            self._spelling[text] = f"nn.{name}"
        elif own or (installed(module) and not _of_engine(module)):
            binding = self._import(Import(module.__name__, root, root), module.__name__.rpartition(".")[2])
            self._spelling[text] = f"{binding}.{rest}" if rest else binding
            if not own:
                self._keep(module.__name__, f"the class {name} is part of an installed package")
        else:
            self._want(text, module, name, Path(module.__file__ or "").name)

    def _want(self, key: str, module: ModuleType, name: str, title: str) -> None:
        """Take a name of a module, known to calls as `key`."""
        self._wanted[key] = (self._take(module, name.partition(".")[0], title), name)

    def _take(self, module: ModuleType, name: str, title: str) -> _Unit:
        """Add a name to what is taken from a module, and what it needs from modules beside."""
        unit = self._units.setdefault(module.__name__, _Unit(module, title if module is not modules else ""))
        if name in unit.names:
            return unit
        unit.names.add(name)
        try:
            source = inspect.getsource(module)
            unit.part = _resolved(cut(source, unit.names, unit.package), source, unit.package)
        except (OSError, TypeError, SyntaxError) as error:
            raise ExportError(
                f"{module.__name__}: its source cannot be read ({error}); put {name} in a file"
            ) from error
        for found in unit.part.imports:
            beside = _beside(found)
            if beside is not None:
                self._take(beside, found.name, Path(beside.__file__ or "").name)
        return unit

    # ---- what it is called -------------------------------------------------------------------------------------------

    def _name(self, unit: _Unit) -> None:
        """Give each name that a unit defines or imports from elsewhere the name that it has in the source."""
        stem = Path(unit.title or "plain.py").stem
        for statement in unit.part.statements:
            for name in sorted(statement.binds):
                unit.final[name] = self._free(name, f"{unit.module.__name__}:{name}", stem)
        for found in unit.part.imports:
            if _beside(found) is None:
                unit.final[found.binding] = self._import(found, stem)
        if unit.title:
            self._mention(unit)

    def _final(self, unit: _Unit, name: str) -> str:
        """The name in the source of what a unit calls `name`, through as many imports as it takes."""
        if name not in unit.final:
            found = next(found for found in unit.part.imports if found.binding == name)
            unit.final[name] = name  # should two modules import it from one another
            unit.final[name] = self._final(self._units[found.module], found.name)
        return unit.final[name]

    def _text(self, unit: _Unit) -> str:
        """The text of a unit under the final names."""
        names = {name: self._final(unit, name) for name in unit.part.binds}
        text = unit.part.renamed({name: new for name, new in names.items() if new != name}).text
        return f"# ---- copied from {unit.title} ----\n\n\n{text}" if unit.title else text

    def _in_order(self) -> list[_Unit]:
        """Units after those that they import from."""
        for unit in self._units.values():
            for name in (*unit.names, *unit.part.binds):
                self._final(unit, name)
        ordered: dict[str, _Unit] = {}
        begun: set[str] = set()

        def visit(name: str) -> None:
            if name not in begun:
                begun.add(name)
                for found in self._units[name].part.imports:
                    if found.module in self._units and _beside(found) is not None:
                        visit(found.module)
                ordered[name] = self._units[name]

        for name in sorted(self._units, key=lambda name: name != modules.__name__):
            visit(name)
        return list(ordered.values())

    def _import(self, found: Import, stem: str) -> str:
        """Import something; return the name under which it is bound."""
        binding = self._free(found.binding, found.target, stem)
        self._imports.append(Import(found.module, found.name, binding))
        return binding

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

    # ---- what has to be said -----------------------------------------------------------------------------------------

    def _keep(self, module: str, why: str) -> None:
        self._kept.setdefault(f"model.py imports {module.partition('.')[0]}, which must be installed: {why}")

    def _mention(self, unit: _Unit) -> None:
        """Note what a copied part needs that cannot be copied with it."""
        inside = [found for statement in unit.part.statements for found in statement.imports]
        for found in (*(found for found in unit.part.imports if _beside(found) is None), *inside):
            if not is_standard(found.module):
                self._keep(found.module, f"{unit.title} imports it")
        if any("__file__" in statement.needs for statement in unit.part.statements):
            self._kept.setdefault(f"{unit.title} uses __file__, which is another place in the exported folder")


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


def installed(module: ModuleType) -> bool:
    """Whether a module is an installed package's, not a person's own file."""
    if not getattr(module, "__file__", None) or _standard(module.__name__):
        return module.__name__ != "__main__"
    file = Path(module.__file__ or "").resolve()
    return any(file.is_relative_to(Path(sysconfig.get_path(kind)).resolve()) for kind in ("purelib", "platlib"))


def _of_engine(module: ModuleType) -> bool:
    return module.__name__.partition(".")[0] in ("nas", "search_spaces", "evaluators", "results")


def _beside(found: Import) -> ModuleType | None:
    """The module of a person's own from which an import takes a class, a function or a value; None for all others."""
    module = sys.modules.get(found.module)
    if not found.name or module is None or is_standard(found.module) or installed(module):
        return None
    if _of_engine(module) and module is not modules:
        return None
    return None if isinstance(getattr(module, found.name, module), ModuleType) else module


def _resolved(part: Slice, source: str, package: str) -> Slice:
    """The slice with imports for names that came by `from module import *`, and of modules from where they are."""
    found = []
    for one in part.imports:
        thing = getattr(sys.modules.get(one.module), one.name, None) if one.name else None
        moved = isinstance(thing, ModuleType) and not is_standard(one.module)
        found.append(Import(thing.__name__, "", one.binding) if moved and thing is not None else one)
    for name in sorted(name for name in part.unknown if not name.startswith("_")):
        for module in star_imports(source, package):
            if hasattr(sys.modules.get(module), name):
                found.append(Import(module, name, name))
                break
    return Slice(part.statements, tuple(found), part.unknown, part.future)
