"""Models in Cassandra's format, .POMDP and .MDP files."""
