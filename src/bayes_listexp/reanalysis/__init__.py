"""Published list experiments, analysed again: what is known of them, one analysis each, a page each, and the pages' index."""
