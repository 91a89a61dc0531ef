"""Run a method with two stages in your own loop: FitNets trains up to the hint layer, then the whole student.

python examples/two_stages.py
"""

import torch

import digits
import tutelage

torch.manual_seed(0)
train, test = digits.loaders()
teacher = tutelage.create_model("resnet14", num_classes=10)
digits.train(teacher, train)
student = tutelage.create_model("resnet8", num_classes=10)

distiller = tutelage.Distiller(student, teacher, "fitnets", input_size=8, epochs=3)
for index, stage in enumerate(distiller.stages):
    distiller.enter(index)
    # Each stage trains other parameters and needs a new optimizer.
    trained = [parameter for parameter in distiller.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5e-3)
    for epoch in range(1, stage.epochs + 1):
        for images, labels in train:
            out = distiller(images, labels)
            optimizer.zero_grad()
            out.loss.backward()
            optimizer.step()
        logits = "no logits" if out.logits is None else f"logits {tuple(out.logits.shape)}"
        print(f"stage {stage.name}, epoch {epoch}: {len(trained)} tensors trained, {', '.join(out.terms)}, {logits}")

print(f"teacher {digits.accuracy(teacher, test):.1f} %, student {digits.accuracy(student, test):.1f} %")
