"""Formulas for terminals and files that have no Unicode: each symbol as a word or in ASCII."""

_WORDS = {
    "γ": "gamma", "π": "pi", "ψ": "psi", "Σ": "sum", "ρ": "rho", "σ": "sigma", "α": "alpha", "λ": "lambda",
    "θ": "theta", "∇": "grad ", "ĝ": "g", "R\N{COMBINING MACRON}": "mean(R)", "−": "-", "·": "*", "≥": ">=",
    "≤": "<=", "‖": "||", "…": "...", "²": "^2", "√": "sqrt",
}  # fmt: skip


def spelled_out(text: str) -> str:
    """Returns a text with symbols of formulas in ASCII; what has no such form stays."""
    for symbol, word in _WORDS.items():
        text = text.replace(symbol, word)
    return text
