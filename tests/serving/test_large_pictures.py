"""Large images in a process whose address space is what the export was made for."""

import pytest

from tests.large_pictures import KERNELS, MEMORY, NETWORKS, answers, export, image_file, is_right, rows


def test_an_image_of_many_tiles_does_not_end_a_process_of_little_memory(tmp_path):
    memory = 2.0  # GB; 1.7 are the program's.
    export("unet_paper", memory, tmp_path / "1", narrow=True)
    images = [image_file(megapixels, tmp_path) for megapixels in (1, 9, 0.1)]
    found = list(answers(tmp_path / "1", "confidence", images, memory, "Eigen"))
    outcomes = [outcome for _, outcome, *_ in found]
    assert [outcome.split()[0] for outcome in outcomes] == ["mask", "INVALID_ARGUMENT", "mask"]


@pytest.mark.long
@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_large_image_gets_a_mask_or_is_refused_within_the_memory(name, memory):
    found = list(rows((name,), (memory,), tuple(KERNELS), (1.0, 6.0, 40.0, 120.0)))
    assert len(found) == 4 * len(KERNELS)
    for _, _, kernels, megapixels, outcome, *_ in found:
        assert is_right(outcome), f"{kernels}: {megapixels} megapixels: {outcome}"
