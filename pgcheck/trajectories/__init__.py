"""Trajectories τ = s_0, a_0, r_0, s_1, …: one tree, two measures.

    ∇J(θ) = Σ_τ P(τ)     · R(τ) Σ_t ∇log π(a_t|s_t)      P(τ) = start(s_0) Π_t π(a_t|s_t) P(k_t|s_t, a_t)
    ĝ_N   = Σ_τ n(τ) / N · R(τ) Σ_t ∇log π(a_t|s_t)      n(τ): how often τ is drawn in N rollouts

Here k_t is the outcome (next state, reward, end) of step t, and R(τ) = Σ_t γ^t r_t. A measure, P or n, is split down
the tree (`tree`, `sampling`); what goes with each (state, action) is summed on the way back up (`sums`). The same
walk lists trajectories one by one (`paths`).
"""
