"""Distill in an Accelerate script, with any number of processes and devices and any precision that Accelerate supports.

python examples/accelerate_script.py
torchrun --nproc_per_node 2 examples/accelerate_script.py
"""

import torch
from accelerate import Accelerator

import digits
import tutelage

torch.manual_seed(0)
accelerator = Accelerator(cpu=not torch.cuda.is_available())
train, test = digits.loaders()
teacher = tutelage.create_model("resnet14", num_classes=10)
digits.train(teacher, train)
student = tutelage.create_model("resnet8", num_classes=10)

# For several processes, Accelerate wraps student and connectors, but not the teacher. All move to the device.
distiller = tutelage.Distiller(student, teacher, "kd+at", input_size=8)
optimizer = torch.optim.AdamW(distiller.parameters(), lr=5e-3)
distiller, optimizer, train = accelerator.prepare(distiller, optimizer, train)
for epoch in range(1, 4):
    distiller.train()
    for images, labels in train:
        out = distiller(images, labels)
        optimizer.zero_grad()
        accelerator.backward(out.loss)
        optimizer.step()
    accelerator.print(f"epoch {epoch}: loss {accelerator.reduce(out.loss.detach(), 'mean').item():.4f}")

if accelerator.is_main_process:
    print(f"teacher {digits.accuracy(teacher.cpu(), test):.1f} %, student {digits.accuracy(student.cpu(), test):.1f} %")
