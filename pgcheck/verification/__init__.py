"""Whether an estimator's expectation is the gradient, and if not, which mistake it is."""
