"""Distill in a plain PyTorch loop; only the loss differs from training without a teacher.

python examples/own_loop.py
"""

import torch

import digits
import tutelage

torch.manual_seed(0)
train, test = digits.loaders()
teacher = tutelage.create_model("resnet14", num_classes=10)
digits.train(teacher, train)
student = tutelage.create_model("resnet8", num_classes=10)

distiller = tutelage.Distiller(student, teacher, "kd+at", input_size=8)
optimizer = torch.optim.AdamW(distiller.parameters(), lr=5e-3)
for epoch in range(1, 4):
    distiller.train()
    for images, labels in train:
        out = distiller(images, labels)
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
    terms = ", ".join(f"{name} {value.item():.4f}" for name, value in out.terms.items())
    print(f"epoch {epoch}: loss {out.loss.item():.4f} = {terms}")

print(f"teacher {digits.accuracy(teacher, test):.1f} %, student {digits.accuracy(student, test):.1f} %")
