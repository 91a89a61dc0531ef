"""Networks of other libraries: timm, torchvision, transformers, and their downloads."""
