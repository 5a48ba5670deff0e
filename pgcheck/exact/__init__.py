"""What is known of an estimate before any rollout: ∇J by two methods, values, and the mean and covariance of ĝ.

∇J = Σ_τ P(τ) R(τ) Σ_t ∇log π(a_t|s_t)                       `enumeration`
   = Σ_t γ^t Σ_s P(s_t = s) Σ_a ∇π(a|s) Q_t(s, a)            `induction`
E[ĝ], E[ĝ ĝᵀ] of one rollout's ĝ = Σ_t ∇log π(a_t|s_t) w_t   `second_moments`
"""
