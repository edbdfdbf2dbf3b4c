"""The reference backend: runs a graph op by op by each op's `reference`. It defines what a graph means."""
