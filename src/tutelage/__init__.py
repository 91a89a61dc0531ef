"""tutelage: distils image classifiers; a small student learns from a large teacher."""
