"""The precision of the arithmetic: what the hardware gains from, and what must not be asked of it."""

from keras_seg.errors import InputError
from keras_seg.hardware import BFLOAT16_CAPABILITY, check_bfloat16, describe_gpu

# Purpose -> what can be asked for: names of Keras's dtype policies, or of the type of all weights.
PRECISIONS = {
    "training": ("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    "prediction": ("float32", "bfloat16", "auto"),
}
FLOAT16_CAPABILITY = (7, 0)  # Compute capability from which an NVIDIA GPU has float16 in tensor cores.


def choose_precision(setting, hardware, purpose, is_distributed=False):
    """Decides on a precision.

    Args:
        setting: Of `PRECISIONS[purpose]`.
        hardware: A `Hardware`.
        purpose: "training" or "prediction".
        is_distributed: Whether several devices train together, which Keras's loss scaling does not follow: it
            looks for overflows on each replica by itself.

    Returns:
        `(precision, reason)`: one of those but "auto", and a line for the reader or None.

    Raises:
        InputError: `setting` is none of them, float16 is asked for on a CPU, which only loses, or on several
            devices; bfloat16 as `check_bfloat16`.
    """
    if setting not in PRECISIONS[purpose]:
        raise InputError(f"--precision must be one of {', '.join(PRECISIONS[purpose])}, received {setting}")
    if purpose == "prediction":
        return _for_prediction(setting, hardware)
    if is_distributed and setting == "mixed_float16":
        raise InputError(
            "--precision mixed_float16 and --distribute exclude each other; take mixed_bfloat16, "
            "float32 or auto"
        )
    if hardware.capabilities:
        precision, line = _for_gpus(setting, hardware.capability)
        if is_distributed and precision == "mixed_float16":
            return "float32", "precision float32: mixed_float16 does not go with --distribute"
        return precision, line
    if setting == "mixed_float16":
        raise InputError(
            "--precision mixed_float16: there is no GPU, and a CPU only loses by it; take float32 or auto"
        )
    if setting == "mixed_bfloat16":
        check_bfloat16()
        kept = "fc6, fc7 and the scores stay float32"
        if not hardware.bfloat16:
            kept += ", and this CPU has neither AMX nor AVX-512 for bfloat16: float32 is faster"
        return setting, f"precision mixed_bfloat16 on the CPU: {kept}"
    if setting == "auto":
        reason = "there is no GPU"
        if hardware.bfloat16:
            reason += f"; {hardware.bfloat16}, which --precision mixed_bfloat16 uses"
        return "float32", f"precision float32: {reason}"
    return setting, None


def _for_prediction(setting, hardware):
    if setting == "auto":
        if hardware.bfloat16:
            return "bfloat16", f"precision bfloat16: {hardware.bfloat16}"
        return "float32", "precision float32: nothing here has instructions for bfloat16"
    if setting == "bfloat16" and not hardware.bfloat16:
        return setting, "precision bfloat16: nothing here has instructions for it; float32 is faster"
    return setting, None


def _for_gpus(setting, capability):
    gpu = describe_gpu(capability)
    if setting == "auto":
        if capability >= BFLOAT16_CAPABILITY:
            return "mixed_bfloat16", f"precision mixed_bfloat16: {gpu}"
        if capability >= FLOAT16_CAPABILITY:
            return "mixed_float16", f"precision mixed_float16 with loss scaling: {gpu}"
        return "float32", f"precision float32: {gpu}, below 7.0"
    least = {"mixed_bfloat16": BFLOAT16_CAPABILITY, "mixed_float16": FLOAT16_CAPABILITY}.get(setting, (0, 0))
    if capability < least:
        return setting, f"precision {setting}: {gpu}, which gains nothing; float32 is safer"
    return setting, None
