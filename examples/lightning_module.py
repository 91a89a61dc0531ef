"""Distill in a Lightning module that contains the distiller; the Trainer does the rest.

python examples/lightning_module.py
"""

from __future__ import annotations

import lightning
import torch
from torch import Tensor, nn

import digits
import tutelage


class Distillation(lightning.LightningModule):
    """Distill ``teacher`` into ``student``. The optimizer and checkpoints do not include the teacher."""

    def __init__(self, student: nn.Module, teacher: nn.Module, method: str = "kd+at") -> None:
        super().__init__()
        self.distiller = tutelage.Distiller(student, teacher, method, input_size=8)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        out = self.distiller(*batch)
        self.log_dict({"loss": out.loss, **out.terms}, on_step=False, on_epoch=True)
        return out.loss

    def on_train_epoch_end(self) -> None:
        print(f"epoch {self.current_epoch + 1}: loss {self.trainer.callback_metrics['loss']:.4f}")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.distiller.parameters(), lr=5e-3)


if __name__ == "__main__":
    torch.manual_seed(0)
    train, test = digits.loaders()
    teacher = tutelage.create_model("resnet14", num_classes=10)
    digits.train(teacher, train)
    module = Distillation(tutelage.create_model("resnet8", num_classes=10), teacher)
    trainer = lightning.Trainer(max_epochs=3, devices=1, logger=False, enable_checkpointing=False)
    trainer.fit(module, train)
    student = module.distiller.student.cpu()
    print(f"teacher {digits.accuracy(teacher.cpu(), test):.1f} %, student {digits.accuracy(student, test):.1f} %")
