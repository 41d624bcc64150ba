"""`python -m vocscore`, for torchrun and for environments without the console script."""

from vocscore.cli.main import main

main(prog_name="vocscore")
