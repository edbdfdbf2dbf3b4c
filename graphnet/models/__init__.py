"""Model, Sequential and what loads, clones and cuts models."""
