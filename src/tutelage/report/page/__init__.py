"""The page: blocks, drawings and the template."""
