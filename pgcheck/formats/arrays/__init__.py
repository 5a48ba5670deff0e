"""Models in arrays, .npz files."""
