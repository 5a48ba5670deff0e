"""What `pgcheck` alone says: what it is, and three commands to begin with."""

FIRST = (
    ("pgcheck converge", "see Monte Carlo converge to the exact policy gradient"),
    ("pgcheck verify my_pg.py:reinforce", "is your own estimator right? If not: which mistake is it?"),
    ("pgcheck explain dropped-gamma", "what the most disputed mistake is, and how to mend it"),
)


def first_commands() -> str:
    """Returns a few lines for those who do not know yet what to type."""
    lines = ["pgcheck checks policy gradients: estimators against the exact gradient.", ""]
    for command, purpose in FIRST:
        lines += [f"  {command}", f"   {purpose}"]
    return "\n".join([*lines, "", "All commands: pgcheck --help. One of them: pgcheck verify --help"])
