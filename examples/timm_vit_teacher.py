"""Distill a timm vision transformer into a CNN, each with its own normalization and input size.

python examples/timm_vit_teacher.py
"""

import timm
import torch
from torch import nn

import digits
import tutelage
from tutelage.data import Normalization
from tutelage.taps import Probe, pair_levels

torch.manual_seed(0)
train, test = digits.loaders()
# In practice: timm.create_model(NAME, pretrained=True), fine-tuned on your classes.
small = {"img_size": 32, "patch_size": 8, "embed_dim": 96, "num_heads": 3, "depth": 3}
vit = timm.create_model("vit_tiny_patch16_224", num_classes=10, **small)
to_teacher = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), size=(32, 32))
digits.train(nn.Sequential(to_teacher, vit), train, epochs=4, lr=1e-3)

student = tutelage.create_model("resnet8", num_classes=10)
for theirs, ours in pair_levels(Probe(vit, (32, 32)), Probe(student, (8, 8))):
    print(f"student {ours} with teacher {theirs}")

teacher = tutelage.Teacher(vit, to_teacher)
distiller = tutelage.Distiller(student, teacher, "kd+at", input_size=8)
optimizer = torch.optim.AdamW(distiller.parameters(), lr=5e-3)
for epoch in range(1, 3):
    distiller.train()
    for images, labels in train:
        out = distiller(images, labels)
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {out.loss.item():.4f}")

print(f"teacher {digits.accuracy(teacher, test):.1f} %, student {digits.accuracy(student, test):.1f} %")
