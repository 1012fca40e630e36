"""Parts of pages that are made from the code: between `<!-- part: NAME -->` and `<!-- end -->`."""

import re

from tools import architecture, networks_table

PARTS = {"rooms": architecture.format_table, "networks": networks_table.format_table}
_PART = re.compile(r"(<!-- part: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text):
    """Returns a page with its parts made anew.

    Raises:
        KeyError: A part has a name that is not in `PARTS`.
    """
    return _PART.sub(lambda match: f"{match[1]}{PARTS[match['name']]()}\n{match[3]}", text)
