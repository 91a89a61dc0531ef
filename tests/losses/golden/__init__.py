"""How each golden case is computed with tutelage's own losses: one module per family, one function per file stem."""

from losses.golden import features, heads, logits, maps, relations, seed

FORMS = {**seed.FORMS, **logits.FORMS, **maps.FORMS, **heads.FORMS, **relations.FORMS, **features.FORMS}
