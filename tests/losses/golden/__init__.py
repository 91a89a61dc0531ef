"""How each golden case is computed with tutelage's own losses: one module per family, one function per file stem."""

from losses.golden import relations, seed

FORMS = {**seed.FORMS, **relations.FORMS}
