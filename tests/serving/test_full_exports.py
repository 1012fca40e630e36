"""Every export of every network at its full width: its outputs, and the memory that writing it takes."""

import pytest

from keras_seg.models import MODELS
from tests.full_exports import FORMATS, LIMIT, MOST, export

pytestmark = pytest.mark.long


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", MODELS)
def test_a_full_export_has_the_same_outputs_and_takes_less_than_six_gigabytes(name, kind):
    peak, error, _ = export(name, kind)
    assert peak <= MOST
    assert error <= LIMIT
