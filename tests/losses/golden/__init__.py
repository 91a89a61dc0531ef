"""How each golden case is computed with tutelage's own losses: one module per family, one function per file stem."""

from losses.golden import heads, logits, maps, seed

FORMS = {**seed.FORMS, **logits.FORMS, **maps.FORMS, **heads.FORMS}
