"""Entry point of ``python -m tutelage``, which launchers such as torchrun use."""

from tutelage.cli import main

main()
