"""Output of a run: plan, progress, logs and attention maps."""

from tutelage.training.display.attention import attention_maps
from tutelage.training.display.plan import describe_plan
from tutelage.training.display.progress import build_console

__all__ = [
    "attention_maps",
    "build_console",
    "describe_plan",
]
