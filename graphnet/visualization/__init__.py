"""Pictures and tables of models; they are handed networkx graphs and rows, and know no layer."""
