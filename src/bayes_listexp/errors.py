"""The one exception this package raises on purpose."""


class InputError(ValueError):
    """Input that cannot be used as given; the message names file, column, row, value and the way out."""
