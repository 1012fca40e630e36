"""Networks that are built for weights which are there already."""

_INITIALIZER = "_initializer"


def initializers(config):
    """Returns the initializers of a layer's configuration, `{name: value}`."""
    return {name: value for name, value in config.items() if name.endswith(_INITIALIZER) and value}


def without_initial_weights(config):
    """Returns a configuration of a layer or network whose weights start at zero, which takes no time."""
    if isinstance(config, list):
        return [without_initial_weights(each) for each in config]
    if not isinstance(config, dict):
        return config
    zeros = dict.fromkeys(initializers(config), "zeros")
    return {**{name: without_initial_weights(each) for name, each in config.items()}, **zeros}
