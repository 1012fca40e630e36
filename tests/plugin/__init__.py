"""A package of somebody else, of one file, and how it is installed for a test."""

from pathlib import Path

SOURCE = Path(__file__).with_name("acme_segmentation.py")


def install(folder, package="acme-segmentation", module=SOURCE.stem, source=None):
    """Writes a package as pip leaves it: its module, and metadata that name it among the entry points.

    Args:
        folder: Where modules are found, as on `PYTHONPATH`.
        package: Its name.
        module: The module's.
        source: Its text; the one here by default.
    """
    source = SOURCE.read_text(encoding="utf-8") if source is None else source
    metadata = Path(folder, f"{package.replace('-', '_')}-1.0.dist-info")
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[keras_seg]\nnetworks = {module}\n")
    Path(folder, f"{module}.py").write_text(source, encoding="utf-8")
