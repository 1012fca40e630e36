"""Keras's loader knows the layers of this package as soon as both are imported, in either order."""

import importlib
import importlib.util
import sys
from typing import Any, cast

KERAS, LAYERS = "keras", "keras_seg.layers"


def register_with_keras():
    """Registers the layers now where Keras is imported already, else right after somebody imports it.

    So `keras.saving.load_model` reads every file of this package after `import keras_seg`, which by itself
    imports no Keras.
    """
    if KERAS in sys.modules:
        importlib.import_module(LAYERS)
    else:
        sys.meta_path.insert(0, _AfterKeras())


class _AfterKeras:
    """Stands in for the loader of Keras once, to import the layers after it.

    A finder and a loader by its methods: their abstract classes would double what `import keras_seg` takes.
    """

    def find_spec(self, fullname, path=None, target=None):
        if fullname != KERAS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(KERAS)
        if spec is not None:
            self._loader: Any = spec.loader
            spec.loader = cast(Any, self)
        return spec

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        importlib.import_module(LAYERS)
