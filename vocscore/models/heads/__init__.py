"""Heads on a backbone beyond a linear layer: residual attention, label graph, label refinement."""
