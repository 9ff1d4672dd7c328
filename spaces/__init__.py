"""What can be searched: operations, cells, supernets, genotypes, derived networks and tabular benchmarks."""
