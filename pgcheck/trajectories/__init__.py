"""The tree of trajectories and what comes of it: all of them, rollouts, counts, batches."""
