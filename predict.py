"""Labels every pixel of images: python predict.py --run RUN INPUT... --output FOLDER."""

import sys

from keras_seg.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], program="predict.py"))
