"""Parts of a computation, done by whoever is there: this process, others, a cluster; kept in a file when done."""
