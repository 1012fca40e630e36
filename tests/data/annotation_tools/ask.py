"""Runs in the tools' environment, which has no keras_seg: `ask.py read|write FORMAT FOLDER`.

`read` takes what `predict.py --annotations` left in FOLDER/out/annotations and leaves the labels' masks in
FOLDER/read.npz; `write` takes FOLDER/masks.npz and leaves annotations in FOLDER/tool. Class ids are places in
FOLDER/classes.json, whose first is the background.
"""

import json
import shutil
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote

import numpy as np

FOLDER = Path(sys.argv[3])
OUT = FOLDER / "out/annotations"
TOOL = FOLDER / "tool"
CLASSES = json.loads((FOLDER / "classes.json").read_text())


def draw(size, regions):
    """Class ids [H, W] of (label, bool [H, W]), the first at the bottom."""
    mask = np.zeros(size, np.uint8)
    for label, region in regions:
        mask[np.asarray(region, bool)] = CLASSES.index(label)
    return mask


def read_coco():
    from pycocotools.coco import COCO

    coco = COCO(str(OUT / "coco.json"))
    for image in coco.loadImgs(coco.getImgIds()):
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        assert all(0 < entry["score"] <= 1 for entry in annotations)
        regions = [(coco.cats[entry["category_id"]]["name"], coco.annToMask(entry)) for entry in annotations]
        yield Path(image["file_name"]).stem, draw((image["height"], image["width"]), regions)


def read_cvat():
    import datumaro
    from datumaro.components.annotation import AnnotationType
    from pycocotools import mask as runs

    shutil.copytree(FOLDER / "photos", OUT / "images")
    dataset = datumaro.Dataset.import_from(str(OUT), "cvat")
    labels = dataset.categories()[AnnotationType.label]
    for item in dataset:
        height, width = item.media.size
        regions = []
        for entry in sorted(item.annotations, key=lambda entry: entry.z_order):
            assert 0 < float(entry.attributes["score"]) <= 1
            if entry.type == AnnotationType.mask:
                region = entry.image
            else:
                region = runs.decode(runs.merge(runs.frPyObjects([list(entry.points)], height, width)))
            regions.append((labels[entry.label].name, region))
        yield item.id, draw((height, width), regions)


def read_cvat_masks():
    import datumaro
    from datumaro.components.annotation import AnnotationType

    with zipfile.ZipFile(OUT / "cvat-masks.zip") as archive:
        archive.extractall(OUT / "unpacked")
    dataset = datumaro.Dataset.import_from(str(OUT / "unpacked"), "voc_segmentation")
    labels = dataset.categories()[AnnotationType.label]
    for item in dataset:
        regions = [(labels[entry.label].name, entry.image) for entry in item.annotations]
        regions = [(label, region) for label, region in regions if label != "background"]
        yield item.id, draw(np.load(FOLDER / "masks.npz")[item.id].shape, regions)


def read_labelme():
    from labelme._label_file import read_label_file
    from labelme.utils.shape import shapes_to_label

    ids = {name: index for index, name in enumerate(CLASSES)}
    for path in OUT.glob("*.json"):
        found = read_label_file(str(path))
        assert all(0 < shape["other_data"]["score"] <= 1 for shape in found.shapes)
        content = json.loads(path.read_text())
        size = (content["imageHeight"], content["imageWidth"])
        yield path.stem, shapes_to_label(size, found.shapes, ids)[0]


def read_label_studio():
    from label_studio_sdk.converter import Converter
    from label_studio_sdk.converter.brush import decode_rle
    from label_studio_sdk.label_interface import LabelInterface
    from pycocotools import mask as runs

    config = (OUT / "label-studio.xml").read_text()
    tasks = json.loads((OUT / "label-studio.json").read_text())
    # The SDK's own checks of a prediction against the labeling configuration, and of a task.
    interface = LabelInterface(config)
    for number, task in enumerate(tasks, start=1):
        (prediction,) = task["predictions"]
        assert interface.validate_prediction(prediction), interface.validate_prediction(
            prediction, return_errors=True
        )
        # The converter reads annotations.
        task |= {
            "id": number,
            "annotations": [{"id": number, "result": prediction["result"], "completed_by": 1}],
        }
    (FOLDER / "tasks.json").write_text(json.dumps(tasks))
    Converter(config, project_dir=None).convert_to_coco(
        str(FOLDER / "tasks.json"),
        str(FOLDER / "coco"),
        is_dir=False,
        output_image_dir=str(FOLDER / "photos"),
    )
    # Brushes are not in it.
    coco = json.loads((FOLDER / "coco/result.json").read_text())
    names = {entry["id"]: entry["name"] for entry in coco["categories"]}
    polygons = {}
    for entry in coco["annotations"]:
        polygons.setdefault(coco["images"][entry["image_id"]]["file_name"], []).append(entry)
    for task in tasks:
        stem = Path(unquote(task["data"]["image"]).partition("=")[2]).stem
        size = np.load(FOLDER / "masks.npz")[stem].shape
        regions = []
        for result in task["predictions"][0]["result"]:
            if result["type"] == "brushlabels":
                pixels = decode_rle(result["value"]["rle"]).reshape(*size, 4)
                assert (pixels == pixels[..., :1]).all() and set(np.unique(pixels)) <= {0, 255}
                regions.append((result["value"]["brushlabels"][0], pixels[..., 3]))
        for entry in polygons.get(
            next((name for name in polygons if unquote(name).endswith(f"{stem}.png")), ""), []
        ):
            region = runs.decode(runs.merge(runs.frPyObjects(entry["segmentation"], *size)))
            regions.append((names[entry["category_id"]], region))
        yield stem, draw(size, regions)


def masks():
    """Names, class ids, and (class name, bool [H, W]) for each class but the background."""
    for stem, mask in np.load(FOLDER / "masks.npz").items():
        yield stem, mask, [(CLASSES[index], mask == index) for index in np.unique(mask) if index]


def write_coco():
    from pycocotools import mask as runs

    names = [{"id": index, "name": name} for index, name in enumerate(CLASSES)]
    content = {"images": [], "annotations": [], "categories": names}
    for number, (stem, mask, regions) in enumerate(masks()):
        height, width = mask.shape
        content["images"].append({"id": number, "file_name": f"{stem}.png", "height": height, "width": width})
        for label, region in regions:
            encoded = runs.encode(np.asfortranarray(region, np.uint8))
            entry = {
                "id": len(content["annotations"]),
                "image_id": number,
                "category_id": CLASSES.index(label),
            }
            encoded["counts"] = encoded["counts"].decode()
            content["annotations"].append(entry | {"segmentation": encoded, "area": int(region.sum())})
    (TOOL / "tool.json").write_text(json.dumps(content))


def _datumaro():
    import datumaro
    from datumaro.components.annotation import Mask

    items = [
        datumaro.DatasetItem(
            id=stem,
            media=datumaro.components.media.Image.from_numpy(
                np.zeros((*mask.shape, 3), np.uint8), ext=".png"
            ),
            annotations=[Mask(image=region, label=CLASSES.index(label)) for label, region in regions],
            attributes={"frame": number},
        )
        for number, (stem, mask, regions) in enumerate(masks())
    ]
    return datumaro.Dataset.from_iterable(items, categories=CLASSES)


def write_cvat():
    _datumaro().export(str(TOOL), "cvat", save_media=False)


def write_cvat_masks():
    _datumaro().export(str(TOOL), "voc_segmentation", save_media=False, label_map="source")


def write_labelme():
    from labelme._label_file import write_label_file
    from labelme.utils import img_arr_to_b64

    for stem, mask, regions in masks():
        shapes = []
        for label, region in regions:
            (top, left), (bottom, right) = (
                np.argwhere(region).min(0).tolist(),
                np.argwhere(region).max(0).tolist(),
            )
            encoded = img_arr_to_b64(region[top : bottom + 1, left : right + 1].astype(np.uint8))
            corners = [[left, top], [right, bottom]]
            shape = {"label": label, "points": corners, "shape_type": "mask", "mask": encoded, "flags": {}}
            shapes.append(shape | {"group_id": None, "description": ""})
        height, width = mask.shape
        write_label_file(
            str(TOOL / f"{stem}.json"),
            shapes=shapes, image_path=f"{stem}.png", image_height=height, image_width=width,
        )  # fmt: skip


def write_label_studio():
    from label_studio_sdk.converter.brush import mask2rle

    tasks = []
    for number, (stem, mask, regions) in enumerate(masks()):
        height, width = mask.shape
        results = [
            {
                "id": f"{number}-{label}",
                "type": "brushlabels",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {
                    "format": "rle",
                    "rle": mask2rle(region.astype(np.uint8) * 255),
                    "brushlabels": [label],
                },
            }
            for label, region in regions
        ]
        task = {"id": number, "data": {"image": f"/data/upload/1/0a1b2c3d-{stem}.png"}}
        tasks.append(task | {"annotations": [{"id": number, "result": results}]})
    (TOOL / "tool.json").write_text(json.dumps(tasks))


PACKAGES = {
    "label-studio": ("label_studio_sdk", read_label_studio, write_label_studio),
    "cvat": ("datumaro", read_cvat, write_cvat),
    "cvat-masks": ("datumaro", read_cvat_masks, write_cvat_masks),
    "coco": ("pycocotools", read_coco, write_coco),
    "labelme": ("labelme", read_labelme, write_labelme),
}

if __name__ == "__main__":
    package, read, write = PACKAGES[sys.argv[2]]
    if sys.argv[1] == "read":
        np.savez(FOLDER / "read.npz", **dict(read()))
    else:
        TOOL.mkdir()
        write()
    print(f"{package} {version(package)}")
