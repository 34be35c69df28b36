"""The no-design-effect test: whether the sensitive item changed the answers to the control items (Blair & Imai 2012)."""
