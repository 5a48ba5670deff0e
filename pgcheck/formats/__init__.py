"""Models as people write them → an MDP and its policies, or every fault with its place."""
