"""The page `docs/reference/weights.md`: which published files can lie in `weights/`, from all rows."""

from keras_seg import registry
from keras_seg.texts import markdown_table

PAGE = """\
# Published weights

A file lies in the folder `weights/` of a checkout. `--weights auto`, the default, takes the first one there
that fits the network as it is built; if none lies there it takes the one marked *auto* from the downloads of
former runs, or downloads it. Any other file is given by its path: `--weights weights/FILE`. Loading is
strict, by layer name: a file that does not fit is refused, and nothing of it is loaded.

Downloads are kept in `~/.cache/keras_seg` (`~/Library/Caches/keras_seg` on macOS,
`%LOCALAPPDATA%\\keras_seg` on Windows), or in the folder that `KERAS_SEG_CACHE` names. One that broke off
goes on where it was. A file of a published name whose checksum is another, here or there, was altered or is
half of it, and is refused.

## ImageNet, for encoders

{encoders}

A `.pth` file is read without PyTorch, in the layout of today and in that before PyTorch 1.6, and nothing in
it is run: what a state dict does not need is refused by its name. Its name holds the first eight digits of
its sha256. torchvision's state dict, saved with `safetensors.torch.save_file`, does as well:
{safetensors}.

## Whole networks

By name: `keras_seg.load_pretrained("fcn_resnet50_coco")`, `predict.py --pretrained fcn8s_voc`
([prediction.md](prediction.md)). Or as the start of a training: `--weights fcn_resnet50_coco`.

{networks}

They were trained on 21 classes; for any other number the score layers start anew, and one line says so.
The loaders were checked with files in these formats and layouts; the published files themselves were out
of reach where this was written.
"""
ENCODER_TITLES = "encoder", "file", "preprocessing", "source", "checksum"
NETWORK_TITLES = "name", "network", "file", "source", "checksum"


def format_weights():
    """Returns the page."""
    encoders = registry.encoders().values()
    pth = [row.name for row in encoders if any(file.name.endswith(".pth") for file in row.weights)]
    return PAGE.format(
        encoders=markdown_table(
            ("encoder", "file", "preprocessing", "source", "checksum"), _encoder_lines(encoders)
        ),
        networks=markdown_table(NETWORK_TITLES, _network_lines()),
        safetensors=", ".join(f"`{name}.safetensors`" for name in pth),
    )


def _encoder_lines(encoders):
    for row in encoders:
        seen = set()
        for file in row.weights:
            notes = ["*auto*"] if file.preprocessing not in seen else []
            notes += [file.note] if file.note else []
            seen.add(file.preprocessing)
            name = f"`{file.name}`" + (f" ({', '.join(notes)})" if notes else "")
            yield f"`{row.name}`", name, f"`{file.preprocessing}`", file.url, _checksum(file)


def _network_lines():
    for row in registry.networks().values():
        for file in row.weights:
            options = ", ".join(f"`{name}={value}`" for name, value in file.options.items())
            network = f"`{row.name}`" + (f" with {options}" if options else "")
            name = f"`{file.pretrained}`" if file.pretrained else "-"
            yield name, network, f"`{file.name}`", file.url, _checksum(file)


def _checksum(file):
    if not file.digest:
        return "none is published"
    return f"{file.algorithm} {file.digest}" + ("..." if len(file.digest) == 8 else "")
