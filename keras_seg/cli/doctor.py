"""Reads a whole data set once and reports problems with their remedies.

Exit status: 0 clean, 1 warnings, 2 errors.
"""

import json

from keras_seg.cli.picture_names import check_picture_name
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.cli.train_flags import add_mask_flags, mask_options
from keras_seg.errors import InputError

EXAMPLES = (
    "python -m keras_seg doctor photographs --sheet sheet.png",
    "python -m keras_seg doctor photographs --fix",
)


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument(
        "folder", metavar="FOLDER", help="data folder, list of pairs or shapes, see docs/reference/formats.md"
    )
    add_mask_flags(parser)
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON")
    parser.add_argument(
        "--fix", action="store_true", help="write the suggested dataset.json; an old one becomes .bak"
    )
    parser.add_argument("--sheet", metavar="FILE", help="draw some pairs into this image (.png or .jpg)")


def run(arguments):
    """Examines; prints the report."""
    if arguments.sheet:
        check_picture_name("--sheet", arguments.sheet)
    if arguments.fix and arguments.folder == "shapes":
        raise InputError("--fix: shapes is drawn by the program and has no dataset.json; name a data folder.")
    import_tensorflow()
    from keras_seg.data.doctor.examination import examine
    from keras_seg.data.doctor.reports import as_json, draw_sheet, format_report
    from keras_seg.data.folders.writing import write_description
    from keras_seg.inference.images import write_image

    report = examine(arguments.folder, **mask_options(arguments))
    print(json.dumps(as_json(report), indent=2) if arguments.json else format_report(report))
    written = []
    if arguments.fix:
        folder = report.root if report.root.is_dir() else report.root.parent
        written.append(write_description(folder, report.suggestion, keep_old=True))
    if arguments.sheet:
        write_image(arguments.sheet, draw_sheet(report))
        written.append(arguments.sheet)
    for path in written if not arguments.json else ():
        print(f"written to {path}")
    return report.status
