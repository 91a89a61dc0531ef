"""Views of images as networks see them: random views, mixtures, normalization."""
