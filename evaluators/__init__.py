"""What a candidate is worth: data, training, tables of known results, costs.

    evaluators/data/       labelled examples from anywhere
    evaluators/train.py    trains the network (the loop is in evaluators/training/, which imports torch)
    evaluators/supernet/   trains all networks of a space at once, and measures each with the weights it inherits
    evaluators/table.py    looks it up
    evaluators/costs.py    latency, memory, parameters and MACs, beside any evaluator

Importing this package registers every part in it and imports neither torch nor pandas.
"""

from evaluators import costs, data, supernet, table, train

__all__ = ["costs", "data", "supernet", "table", "train"]
