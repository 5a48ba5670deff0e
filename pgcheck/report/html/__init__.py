"""Results → one page in HTML. jinja2 is optional: `pip install 'pgcheck[report]'`."""
