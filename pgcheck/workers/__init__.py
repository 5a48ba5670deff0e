"""Parts of a computation, done by whoever is there: this process, several, or a cluster; finished ones kept in a file."""
