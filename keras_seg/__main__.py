"""python -m keras_seg COMMAND."""

import sys

from keras_seg.cli import main

sys.exit(main(sys.argv[1:], program="python -m keras_seg"))
