"""Sends requests to a SavedModel, in an environment that needs no more than TensorFlow and NumPy.

    PYTHONPATH=tests/serving python tests/runtimes/ask.py FOLDER REQUESTS ANSWERS FIRST

It writes pickles into the file ANSWERS as they come, since a request may end the process: TensorFlow's
version, then for each request from number FIRST on `{output: array}` or, of one that is refused, the error.
"""

import pickle
import sys
from pathlib import Path

from savedmodel_runner import LoaderError, Session


def main(folder, requests, answers, first):
    session = Session(folder)
    with Path(answers).open("wb") as file:
        pickle.dump(session.version, file)
        for signature, inputs in pickle.loads(Path(requests).read_bytes())[int(first) :]:
            try:
                answer = session.run(signature, inputs)
            except LoaderError as error:
                answer = str(error)
            pickle.dump(answer, file)
            file.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
