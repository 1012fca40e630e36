"""Trains a network: python train.py --model fcn8."""

import sys

from keras_seg.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], program="train.py"))
