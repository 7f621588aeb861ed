"""Takes a network home as an ordinary torch module: readable source, weights, architecture, proved equal on writing.

export(graph, inputs, weights, to, about) -> Exported      write a folder and prove it in a fresh process
load(folder) -> nn.Module                                  the network of a folder, in eval mode
read(folder) -> Architecture                               its graph, inputs, decisions and metrics

folder      writes, proves and places the folder        about       architecture.json, words for people
tree        a graph as nested blocks                    classes     which blocks share a class
parameters  what a class's constructor takes            naming      names of classes
forward     the statements of a forward                 shapes      shapes as comments
source      the text of model.py                        style       layout as ruff's formatter has it
copied      what is taken over from other files         slicing     the part of a file that some names need
proof       outputs compared in a fresh process         reload      what that process runs
"""

from results.export.about import Architecture, read
from results.export.folder import Exported, export, load

__all__ = ["Architecture", "Exported", "export", "load", "read"]
