"""PyTorch and torchvision, on a GPU where there is one: channels last, float32 or bfloat16 autocast."""

import contextlib

import torch
from torch import nn

from benchmarks.harness.workers import STEPS
from contenders.torch_device import DEVICE, on_device
from contenders.torch_networks import build


def training(network, size, batch_size, num_classes=21, bfloat16=False, is_compiled=False):
    """SGD with momentum on random images."""
    torch.manual_seed(0)
    model = build(network, num_classes).train().to(DEVICE, memory_format=torch.channels_last)
    forward = torch.compile(model) if is_compiled else model
    images = torch.randn(batch_size, 3, *size).to(DEVICE, memory_format=torch.channels_last)
    masks = torch.randint(num_classes, (batch_size, *size), device=DEVICE)
    loss_function = nn.CrossEntropyLoss(ignore_index=255)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step():
        for _ in range(STEPS):
            optimizer.zero_grad(set_to_none=True)
            with autocast(bfloat16):
                logits = forward(images)
            loss = loss_function(logits.float(), masks)
            loss.backward()
            optimizer.step()
            loss.item()

    return on_device(step), {"steps": STEPS}


def prediction(network, size, batch_size=1, num_classes=21, bfloat16=False, is_compiled=False):
    """Class ids of random images."""
    torch.manual_seed(0)
    model = build(network, num_classes).eval().to(DEVICE, memory_format=torch.channels_last)
    forward = torch.compile(model) if is_compiled else model
    images = torch.randn(batch_size, 3, *size).to(DEVICE, memory_format=torch.channels_last)

    def step():
        with torch.inference_mode(), autocast(bfloat16):
            forward(images).argmax(1).to(torch.uint8).cpu().numpy()

    return on_device(step)


def autocast(bfloat16):
    return torch.autocast(DEVICE, torch.bfloat16) if bfloat16 else contextlib.nullcontext()
