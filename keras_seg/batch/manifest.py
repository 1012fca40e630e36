"""The manifest of a job: one row per image, in Parquet, which says what is done.

While the job runs each worker writes a part after the masks that it tells of; at the end one file takes the
place of the parts. What an interrupted job has done is what both say.
"""

import hashlib
import io

import pyarrow as pa
from pyarrow import parquet

from keras_seg.errors import InputError

MANIFEST, PARTS = "manifest.parquet", "parts"
DONE, FAILED = "done", "failed"
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("status", pa.string()),
        ("error", pa.string()),  # One line; null where it is done.
        ("mask", pa.string()),  # Below the target.
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("pixels", pa.list_(pa.int64())),  # Of each class, in id order.
        ("mean_confidence", pa.float64()),
        ("model_version", pa.string()),
        ("seconds", pa.float64()),  # This image's share of reading, predicting and writing.
    ]
)


def write_part(target, rows):
    """Writes the outcome of some images to a file that is named after them."""
    digest = hashlib.sha256("\n".join(row["path"] for row in rows).encode("utf-8", "surrogateescape"))
    target.write(
        f"{PARTS}/{digest.hexdigest()[:24]}.parquet", _as_parquet(pa.Table.from_pylist(rows, SCHEMA))
    )


def read_manifest(target):
    """Reads what a job has done so far.

    Returns:
        A table of `SCHEMA`, one row an image.

    Raises:
        InputError: A file of it is damaged.
    """
    tables = []
    for name in [MANIFEST, *target.names(PARTS)]:
        if not name.endswith(".parquet") or name.rpartition("/")[2].startswith("."):
            continue
        contents = target.read(name)
        if contents is None:
            continue
        try:
            tables.append(parquet.read_table(io.BytesIO(contents)).cast(SCHEMA))
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{target.address}/{name}: is damaged ({str(error).splitlines()[0]}); remove it, and its "
                "images are labeled again"
            ) from None
    return _one_row_each(pa.concat_tables(tables)) if tables else SCHEMA.empty_table()


def finish_manifest(target):
    """Replaces the parts by one file, and returns its table."""
    parts = target.names(PARTS)
    table = read_manifest(target)
    target.write(MANIFEST, _as_parquet(table))
    target.remove(parts)
    return table


def _one_row_each(table):
    """The last row of each image, where one that is done wins over one that failed."""
    chosen = {}
    rows = zip(table["path"].to_pylist(), table["status"].to_pylist(), strict=True)
    for index, (path, status) in enumerate(rows):
        if path not in chosen or status == DONE:
            chosen[path] = index
    return table.take(pa.array(chosen.values(), pa.int64()))


def _as_parquet(table):
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()
