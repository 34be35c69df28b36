"""Published tables of list experiments: read with their printed precision, audited, and turned into posteriors."""
