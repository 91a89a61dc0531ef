"""What a network is shown of an image: random views, mixtures, normalization."""
