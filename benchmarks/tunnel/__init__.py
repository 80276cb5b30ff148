"""What the tunnel's benchmarks share: the processes they start, and the load they make."""
