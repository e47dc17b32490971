"""How types are matched: the rule engine, and the Arrow form in which each neutral type crosses."""
