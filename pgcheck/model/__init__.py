"""The problem: a finite Markov decision process, and the policy at which it is differentiated."""
