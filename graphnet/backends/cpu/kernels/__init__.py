"""The closed set of kernels, a file a family; a kernel is compiled once on a machine, for all models and shapes."""
