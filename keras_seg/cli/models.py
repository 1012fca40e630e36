"""Lists the networks: paper, encoder, parameters, weights they can load."""

from keras_seg.cli.quiet import import_tensorflow

EXAMPLES = ("python -m keras_seg models",)


def add_arguments(parser):
    """Adds the flags: none."""


def run(arguments):
    """Prints the table."""
    import_tensorflow()
    from keras_seg.models.summary import TITLES, cells, rows
    from keras_seg.texts import aligned

    print(aligned([TITLES, *map(cells, rows())], numbers=False))
