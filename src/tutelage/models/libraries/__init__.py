"""Networks of timm, torchvision and transformers, and their downloads."""
