"""PromQL evaluated: a tree and a grid of moments to values. Begin with values, then evaluate."""
