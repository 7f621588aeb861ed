"""Evaluator `supernet`: one training for all networks of a space, then thousands of answers.

    evaluator     what a recipe says, and the evaluator itself
    rules         which networks are trained in a step
    loop          the training, its checkpoints and its growth        (growing, checkpoint)
    balance       which candidate trains which set of weights
    experts       averaging and diagnostics of mixtures
    room          how large it will be
    finalists     inherited, fine-tuned and trained from scratch, side by side

Importing this package registers its parts and does not import torch. The supernet itself: `nas.core.supernet`.
"""

from evaluators.supernet import evaluator, rules

__all__ = ["evaluator", "rules"]
