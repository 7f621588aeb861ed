"""Takes a network home as an ordinary torch module: readable source, weights, programs, proved equal on writing.

export(graph, inputs, weights, to, about) -> Exported      write a folder and prove it in a fresh process
load(folder) -> nn.Module                                  the network of a folder, in eval mode
read(folder) -> Architecture                               its graph, inputs, decisions and metrics

folder      places the folder                           draft       writes and proves it
about       architecture.json, words for people         formats     the forms of a network, what is accepted of each
given       weights and examples of the caller's
tree        a graph as nested blocks                    classes     which blocks share a class
parameters  what a class's constructor takes            naming      names of classes
forward     the statements of a forward                 shapes      shapes as comments
source      the text of model.py                        style       layout as ruff's formatter has it
copied      what is taken over from other files         slicing     the part of a file that some names need
fuse        fewer layers that compute the same          branches    sums of branches that are one layer
costs       what fusing changed of the cost
editing     blocks and weights, changed                 refused     what an exporter cannot express, in words
proof       outputs compared in a fresh process         reload      what that process runs
steady      whether a network gives the same twice      convert     makes model.pt2 and model.onnx, in another one
"""

from results.export.about import Architecture, read
from results.export.draft import Examples, Exported, Proof
from results.export.folder import export, load, ready, target
from results.export.formats import FORMATS

__all__ = ["FORMATS", "Architecture", "Examples", "Exported", "Proof", "export", "load", "read", "ready", "target"]
