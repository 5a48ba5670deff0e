"""Model files → an MDP and its policies, or every error with its place."""
