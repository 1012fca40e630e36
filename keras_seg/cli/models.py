"""Lists the networks: paper, encoder, parameters, weights they can load."""

from keras_seg.cli.quiet import import_tensorflow


def add_arguments(parser):
    """Adds the flags: none."""


def run(arguments):
    """Prints the table."""
    import_tensorflow()
    from keras_seg.models.summary import format_markdown, rows

    print(format_markdown(rows()))
