"""One folder a backend: it lowers op families to kernels and runs a plan."""
