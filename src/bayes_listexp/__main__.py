"""``python -m bayes_listexp``: the command line where its script is not on the path."""

from bayes_listexp.cli import main

main()
