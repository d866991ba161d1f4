"""Training: one step as a pure function of one state, and `fit`, which scans it and touches the host in between."""
