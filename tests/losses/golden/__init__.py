"""How each golden case is computed with tutelage's own losses: one module per family, one function per file stem."""

from losses.golden import features, relations, seed

FORMS = {**seed.FORMS, **relations.FORMS, **features.FORMS}
