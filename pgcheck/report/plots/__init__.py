"""Results → pictures. matplotlib and networkx are optional: `pip install 'pgcheck[plot]'`."""
