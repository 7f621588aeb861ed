"""Supernets: all networks of a space in one set of weights, derived from the space's declaration.

layouts     what the channels of each value are, operand by operand
forms       layers with weights: their axes, and the one call that they are
bank        the largest weights, and their slices
sharing     how decisions become weights: separate, elastic, mixture of experts, balanced sets
norms       how batch norms keep statistics apart
network     the supernet: run a candidate, extract it as a plain network
"""
