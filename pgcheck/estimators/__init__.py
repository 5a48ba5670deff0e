"""Estimators of the gradient: their formulas, estimates from rollouts, means and covariances."""
