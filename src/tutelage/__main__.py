"""``python -m tutelage``, as launchers of several processes want it."""

from tutelage.cli import main

main()
