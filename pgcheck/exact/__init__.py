"""The exact policy gradient, exact values, and exact second moments."""
