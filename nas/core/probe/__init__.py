"""`functional_key`: the identity of anything runnable by what it does.

A graph, a module or a function is run on a fixed probe with canonical weights, forward and for a few training steps, in
float64; what comes out is made coarse and hashed. Two things with one key did the same on the probe. It finds what no
list of rewrites holds: that average pooling is linear, that a second ReLU is dead, that an attribute changes nothing.

    graph ──lower──▶ program ◀──torch.fx── module, function        program   steps; what makes two of them one (fold)
                        │                                           traced    what torch.fx can follow
            size of the images (sizes)
                        │
      weights by what arrives ──▶ forward, train, forward …        running, layers, numbers
                        │
                 numbers ──▶ key                                    key

Weights are canonical by *what arrives*: a layer's weights are drawn by a digest of the layer's form and of the numbers
that reach it. So they do not depend on names, on the order of construction, or on how the same function is spelled
further up.

What it may merge wrongly: two things whose outputs on the probe agree to 16 mantissa bits, at two fillings of the
weights and after each training step, and yet differ elsewhere. What it may split: layers that commute (a pool and a
1×1 convolution), and two convolutions that make one of a kind that no single layer is.

Reference: Gillard et al. 2023, Unified Functional Hashing, arXiv:2302.05433. Differs: float64 and 16 mantissa bits
where the public code keeps 24; weights by what arrives where the paper resets generators; a thing whose probe cannot
be trusted (random numbers, NaN, nothing to train) has no key at all, so it is never merged.
"""

from nas.core.probe.key import STANDARD, VERSION, functional_key
from nas.core.probe.running import Probe, ProbeError

__all__ = ["STANDARD", "VERSION", "Probe", "ProbeError", "functional_key"]
