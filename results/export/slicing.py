"""The part of a Python file that some of its names need: classes, functions, constants and imports, word for word.

A top-level statement is taken when it binds a needed name, or changes what one holds (`TABLE["a"] = …`,
`LAYERS.append(…)`); whatever it refers to is needed too. Local variables are told from the file's own names by Python's
symbol table.
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeGuard


@dataclass(frozen=True)
class Import:
    """One imported name: `import module` (name '') or `from module import name`, known as `binding`."""

    module: str
    name: str
    binding: str

    @property
    def target(self) -> str:
        """What is bound, the same for `import torch.nn as nn` and `from torch import nn`."""
        if self.name:
            return f"{self.module}.{self.name}"
        return self.module if self.binding != self.module.partition(".")[0] else self.binding


@dataclass(frozen=True)
class Statement:
    """One top-level statement: its text with the comments right above it, and what it binds, needs and changes."""

    text: str
    line: int
    last: int
    binds: frozenset[str]
    needs: frozenset[str]
    changes: frozenset[str]
    block: bool

    @property
    def imports(self) -> Iterator[Import]:
        """Imports inside it, but for those that only type hints need."""
        for node in ast.walk(ast.parse(self.text)) if not self.text.startswith("if TYPE_CHECKING:") else ():
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from _imports(node, "")


@dataclass(frozen=True)
class Slice:
    """What was taken from a file. unknown: needed names that no statement binds."""

    statements: tuple[Statement, ...]
    imports: tuple[Import, ...]
    unknown: frozenset[str]
    future: bool

    @property
    def binds(self) -> list[str]:
        """Every name that it binds, imports first."""
        names = dict.fromkeys(found.binding for found in self.imports)
        for statement in self.statements:
            names.update(dict.fromkeys(sorted(statement.binds)))
        return list(names)

    @property
    def text(self) -> str:
        """The statements with two empty lines around classes and functions."""
        parts: list[str] = []
        for place, statement in enumerate(self.statements):
            if place:
                before = self.statements[place - 1]
                blocks = statement.block or before.block
                parts.append("\n\n\n" if blocks else "\n\n" if statement.line > before.last + 1 else "\n")
            parts.append(statement.text)
        return "".join(parts)

    def renamed(self, names: Mapping[str, str]) -> Slice:
        """The same with other names for some of what it binds."""
        if not names:
            return self
        return replace(
            self,
            statements=tuple(
                replace(s, text=rename(s.text, names), binds=frozenset(names.get(name, name) for name in s.binds))
                for s in self.statements
            ),
            imports=tuple(replace(found, binding=names.get(found.binding, found.binding)) for found in self.imports),
        )


def cut(source: str, names: Collection[str], package: str = "") -> Slice:
    """The slice of a file's source for some of its top-level names. package: where relative imports start."""
    tree = ast.parse(source)
    lines = source.splitlines()
    future = False
    imports: list[Import] = []
    statements: list[Statement] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            future = future or any(alias.name == "annotations" for alias in node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imports += _imports(node, package)
        elif _is_about(node, "TYPE_CHECKING") and all(isinstance(i, ast.Import | ast.ImportFrom) for i in node.body):
            for inner in node.body:
                assert isinstance(inner, ast.Import | ast.ImportFrom)
                found = list(_imports(inner, package))
                if all(is_standard(one.module) for one in found):
                    imports += found
                else:
                    statements.append(_for_types(inner, node.lineno))
        elif not _is_about(node, "__name__") and not (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            statements.append(_statement(node, source, lines))
    defined = frozenset().union(*(statement.binds for statement in statements)) if statements else frozenset()
    needed = set(names)
    taken: set[int] = set()
    grown = True
    while grown:
        grown = False
        for place, statement in enumerate(statements):
            if place not in taken and (statement.binds | (statement.changes & defined)) & needed:
                taken.add(place)
                needed |= statement.needs
                grown = True
    kept = tuple(statements[place] for place in sorted(taken))
    wanted = tuple(found for found in imports if found.binding in needed and found.name != "*")
    bound = {found.binding for found in wanted}.union(*(statement.binds for statement in kept))
    unknown = frozenset(name for name in needed - bound if not hasattr(builtins, name))
    return Slice(kept, wanted, unknown, future)


def star_imports(source: str, package: str = "") -> list[str]:
    """Modules that a file imports everything from."""
    found = [node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom)]
    return [made.module for node in found for made in _imports(node, package) if made.name == "*"]


def _imports(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, "", alias.asname or alias.name.partition(".")[0])
        return
    module = node.module or ""
    if node.level:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1]
        module = ".".join([*parents, module]) if module else ".".join(parents)
    for alias in node.names:
        yield Import(module, alias.name, alias.asname or alias.name)


def is_standard(module: str) -> bool:
    """Whether a module is torch's or the standard library's."""
    root = module.partition(".")[0]
    return root == "torch" or root in sys.stdlib_module_names


def _is_about(node: ast.stmt, name: str) -> TypeGuard[ast.If]:
    """Whether a statement is `if` with a test of `name`."""
    return isinstance(node, ast.If) and name in {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}


def _for_types(node: ast.stmt, line: int) -> Statement:
    """An import that only type hints need, as it is of a package that may be missing."""
    text = f"if TYPE_CHECKING:\n    {ast.unparse(node)}"
    table = symtable.symtable(text, "statement", "exec")
    binds = frozenset(s.get_name() for s in table.get_symbols() if s.is_imported())
    return Statement(text, line, line, binds, frozenset(["TYPE_CHECKING"]), frozenset(), False)


def _statement(node: ast.stmt, source: str, lines: list[str]) -> Statement:
    block = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    last = node.end_lineno or node.lineno
    alone = not lines[first - 1][: node.col_offset].strip() and _ends_line(node, lines)
    if alone:
        start = first
        while start > 1 and re.match(r"#(?! *-{3,})", lines[start - 2]):
            start -= 1
        text = "\n".join(line.rstrip() for line in lines[start - 1 : last])
        first = start
    else:
        text = ast.get_source_segment(source, node) or ""
    table = symtable.symtable(text, "statement", "exec")
    binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    return Statement(text, first, last, frozenset(binds), frozenset(_needs(table)), frozenset(_changes(node)), block)


def _ends_line(node: ast.stmt, lines: list[str]) -> bool:
    rest = lines[(node.end_lineno or 1) - 1].encode()[node.end_col_offset :].decode().strip()
    return not rest or rest.startswith("#")


def _needs(table: symtable.SymbolTable) -> Iterator[str]:
    """Names that a statement takes from the file."""
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if (symbol.is_referenced() and (top or symbol.is_global())) or (not top and symbol.is_declared_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _needs(child)


def _changes(node: ast.stmt) -> Iterator[str]:
    """Names whose object a statement changes: by an item, an attribute, or a method called for its effect."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign | ast.Delete):
        targets += node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets.append(node.target)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        targets.append(node.value.func)
    for target in targets:
        while isinstance(target, ast.Attribute | ast.Subscript):
            target = target.value
            if isinstance(target, ast.Name):
                yield target.id
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield from _changes(child)
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            for inner in child.body:
                yield from _changes(inner)


# ---- renaming --------------------------------------------------------------------------------------------------------


def rename(text: str, names: Mapping[str, str]) -> str:
    """A top-level statement in which some of the file's own names are called otherwise.

    >>> rename("def f(x, a=1):\\n    return g(x, a=a) + a.g", {"g": "h", "a": "b"})
    'def f(x, a=1):\\n    return h(x, a=a) + a.g'
    """
    edits: list[tuple[int, int, int, str]] = []
    lines = [line.encode() for line in text.split("\n")]

    def visit(node: ast.AST, local: frozenset[str], outer: frozenset[str]) -> None:
        if isinstance(node, ast.Name) and node.id in names and node.id not in local:
            edits.append((node.lineno - 1, node.col_offset, len(node.id.encode()), names[node.id]))
        if isinstance(node, ast.alias) and "." not in node.name:
            bound = node.asname or node.name
            end = node.end_col_offset or 0
            if bound in names and bound not in local:
                old = len(bound.encode()) if node.asname else 0
                new = names[bound] if node.asname else f" as {names[bound]}"
                edits.append(((node.end_lineno or 1) - 1, end - old, old, new))
        if isinstance(node, ast.Global):
            for name in node.names:
                for found in re.finditer(rb"\b%s\b" % name.encode(), lines[node.lineno - 1]) if name in names else ():
                    edits.append((node.lineno - 1, found.start(), len(name.encode()), names[name]))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name in names and node.name not in local:
                start = lines[node.lineno - 1].index(node.name.encode(), node.col_offset + 4)
                edits.append((node.lineno - 1, start, len(node.name.encode()), names[node.name]))
            _inside(node, local, outer)
        elif isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            _inside(node, local, outer)
        else:
            for child in ast.iter_child_nodes(node):
                visit(child, local, outer)

    def _inside(node: ast.AST, local: frozenset[str], outer: frozenset[str]) -> None:
        """Visit a scope: what it binds hides the file's names; what a class binds does so in its own body only."""
        own, declared = _bound(node)
        held = (outer | own) - declared
        inner = (held, outer) if isinstance(node, ast.ClassDef) else (held, held)
        body: list[ast.AST] = list(getattr(node, "body", [])) if not isinstance(node, ast.Lambda) else [node.body]
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            first = node.generators[0].iter
            visit(first, local, outer)
            for owner in (node, *node.generators):
                for child in ast.iter_child_nodes(owner):
                    if child is not first and not isinstance(child, ast.comprehension):
                        visit(child, *inner)
            return
        inside = {id(child) for child in body}
        for child in ast.iter_child_nodes(node):
            visit(child, *(inner if id(child) in inside else (local, outer)))

    for node in ast.parse(text).body:
        visit(node, frozenset(), frozenset())
    for line, column, length, new in sorted(set(edits), reverse=True):
        lines[line] = lines[line][:column] + new.encode() + lines[line][column + length :]
    return b"\n".join(lines).decode()


def _bound(scope: ast.AST) -> tuple[frozenset[str], frozenset[str]]:
    """Names that a scope binds itself, and those that it declares global."""
    own: set[str] = set()
    declared: set[str] = set()
    arguments = getattr(scope, "args", None)
    if isinstance(arguments, ast.arguments):
        own |= {node.arg for node in ast.walk(arguments) if isinstance(node, ast.arg)}
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            own.add(node.id)
        elif isinstance(node, ast.Global):
            declared |= set(node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            own |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            own.add(node.name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own.add(node.name)
        elif not isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            waiting += ast.iter_child_nodes(node)
    return frozenset(own), frozenset(declared)
