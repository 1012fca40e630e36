"""`TF_CONFIG`, the environment variable that tells a process the cluster and its own place in it."""

import json

from keras_seg.errors import InputError

EXAMPLE = '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'
# In the order in which TensorFlow numbers their tasks.
JOBS = ("chief", "worker")


def read_cluster(text):
    """Reads `TF_CONFIG`.

    Args:
        text: What the variable holds, None where it is not set.

    Returns:
        `(worker, workers)`: this process's number, 0 for the chief, and how many processes there are.

    Raises:
        InputError: It does not say so.
    """
    try:
        return _read(text)
    except ValueError as error:
        raise InputError(f"--distribute multiworker: TF_CONFIG {error}; set it as {EXAMPLE}") from None


def _read(text):
    if not (text or "").strip():
        raise ValueError("is not set")
    try:
        settings = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON ({error})") from None
    cluster, task = (_part(settings, name) for name in ("cluster", "task"))
    surplus = sorted(cluster.keys() - set(JOBS))
    if surplus:
        raise ValueError(f"has tasks of the type {surplus[0]}, and training takes only {' and '.join(JOBS)}")
    addresses = [(job, address) for job in JOBS for address in _addresses(cluster, job)]
    if not addresses:
        raise ValueError("names no worker")
    job, index = task.get("type"), task.get("index")
    own = [number for number, (each, _) in enumerate(addresses) if each == job]
    if not str(index).isdecimal() or int(index) >= len(own):
        raise ValueError(f"says that this is {job} {index}, which its cluster does not have")
    return own[int(index)], len(addresses)


def _part(settings, name):
    part = settings.get(name) if isinstance(settings, dict) else None
    if not isinstance(part, dict):
        raise ValueError(f"has no {name}")
    return part


def _addresses(cluster, job):
    addresses = cluster.get(job, [])
    if not isinstance(addresses, list):
        raise ValueError(f"has no list of addresses for {job}")
    for address in addresses:
        host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise ValueError(f"has the address {address!r}, which is not host:port")
    return addresses
