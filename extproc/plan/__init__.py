"""From a graph to a plan: names resolved, expressions compiled, what is read known."""
