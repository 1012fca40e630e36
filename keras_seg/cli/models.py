"""Lists the networks: paper, encoder, parameters, weights they can load."""


def add_arguments(parser):
    """Adds the flags: none."""


def run(arguments):
    """Prints the table."""
    from keras_seg.models.summary import format_markdown, rows

    print(format_markdown(rows()))
