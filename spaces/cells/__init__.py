"""What cell-based spaces share: operations, genotypes, supernets, derived networks, costs, latencies."""
