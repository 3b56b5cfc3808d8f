"""Champion and challengers: pairs compared, evidence summed, verdicts that stay valid however often one looks."""
