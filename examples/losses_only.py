"""Use losses on tensors, and taps that read activations, without a distiller.

The networks have random weights and the images are noise, so the example runs offline in seconds.

    python examples/losses_only.py
"""

from __future__ import annotations

import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from tutelage import losses
from tutelage.taps import Probe, pair_levels, tapped

SIZE = (64, 64)


def main() -> None:
    torch.manual_seed(0)
    student = torchvision.models.mobilenet_v3_small(num_classes=10)
    teacher = timm.create_model("resnet18", num_classes=10).eval().requires_grad_(False)
    images, labels = torch.rand(4, 3, *SIZE), torch.randint(10, (4,))

    # Find corresponding layers with one dry run of each network.
    student_probe, teacher_probe = Probe(student, SIZE), Probe(teacher, SIZE)
    pairs = pair_levels(teacher_probe, student_probe)
    teacher_tap, student_tap = pairs[-1]
    print("paired levels:", ", ".join(f"{ours} with {theirs}" for theirs, ours in pairs))

    # Tapped networks share all weights with the plain ones. The teacher's forward pass stops at its tap.
    read_student = tapped(student, [student_tap]).train()
    read_teacher = tapped(teacher, [teacher_tap], logits=False).eval()
    channels = student_probe.shape(student_tap)[0], teacher_probe.shape(teacher_tap)[0]
    connector = nn.Conv2d(*channels, kernel_size=1)

    optimizer = torch.optim.SGD([*student.parameters(), *connector.parameters()], lr=0.01)
    logits, features = read_student(images)
    with torch.no_grad():
        _, hints = read_teacher(images)
    task = F.cross_entropy(logits, labels)
    attention = losses.attention_loss(features[student_tap], hints[teacher_tap])
    hint = losses.hint_loss(connector(features[student_tap]), hints[teacher_tap])
    (task + 1000 * attention + 100 * hint).backward()
    optimizer.step()
    print(f"ce {task:.4f}, attention {attention:.4f}, hint {hint:.4f}")

    # Target and match separately: a cached target serves any number of steps on the same views.
    target = losses.kd_target(teacher(images))
    values = [losses.kd_match(read_student(images)[0], target, temperature) for temperature in (1.0, 4.0)]
    print("kd at T = 1 and T = 4:", ", ".join(f"{value:.4f}" for value in values))


if __name__ == "__main__":
    main()
