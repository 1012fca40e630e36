"""Types what the guides print: a shell line by line and Python block by block, in one folder."""

import contextlib
import io
import re
import shlex
import subprocess
from pathlib import Path

from keras_seg.cli import main

PROGRAMS = ("train.py", "predict.py")
WARNINGS = 1  # The exit status of `doctor` where it only warns


def commands(text):
    """Returns the commands of a block of shell, with their continuation lines joined."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def own_words(command):
    """Returns `(program, words)` of a command of this package, patterns filled in, or None."""
    if not command.startswith("python "):
        return None
    words = shlex.split(command, comments=True)
    if words[:3] == ["python", "-m", "keras_seg"]:
        program, words = "keras-seg", words[3:]
    elif words[0] == "python" and words[1:2] and words[1] in PROGRAMS:
        program, words = words[1], words[2:]
    else:
        return None
    return program, [name for word in words for name in (_matches(word) or [word])]


def _matches(word):
    """The files that a pattern of a shell stands for."""
    return sorted(map(str, Path().glob(word))) if "*" in word else []


class Typist:
    """Somebody who types the blocks of a page, one after the other, in the working folder.

    Args:
        instead: Pairs of what is printed and what is typed in its place, so that it takes seconds.
    """

    def __init__(self, instead=()):
        self.instead = instead
        self.names = {}

    def type(self, block):
        """Types a block; raises AssertionError with the block's place and what the program said."""
        text = block.text
        for printed, typed in self.instead:
            text = text.replace(printed, typed)
        if block.language == "python":
            self._python(block, text)
            return
        for command in commands(text):
            self._command(block, command)

    def _python(self, block, text):
        try:
            exec(compile(text, block.place, "exec"), self.names)
        except Exception as error:
            raise AssertionError(f"{block.place}: {type(error).__name__}: {error}") from error

    def _command(self, block, command):
        own = own_words(command)
        said = io.StringIO()
        if own is None:
            found = subprocess.run(["bash", "-ec", command], capture_output=True, text=True)
            status, said = found.returncode, io.StringIO(found.stderr)
        else:
            with contextlib.redirect_stderr(said):
                status = main(own[1], program=own[0])
        well = (0, WARNINGS) if own and own[1][0] == "doctor" else (0,)
        assert status in well, f"{block.place}: {command}: status {status}: {said.getvalue()[-2000:]}"


def links(page):
    """Returns the pages of the guides in the order of mkdocs.yml, by the names that it has."""
    return re.findall(r"(?m)^      - [^:]+: (guides/\w+\.md)$", Path(page).read_text(encoding="utf-8"))
