"""The whole job by its commands in one process: `python journey.py FOLDER [COMMAND ...]`.

A program of its own, because it starts processes that import it. FOLDER holds a drawn VOC tree.
"""

from __future__ import annotations

import sys
from pathlib import Path

NETWORK = "--backbone squeezenet1_1 --weights none --size 32 --epochs 1 --device cpu"
COMMANDS = {
    "pack": "pack voc -o shards",
    "train": f"train shards -o run --tensorboard {NETWORK}",
    "score": "score voc -m run -o predictions.csv",
    "workers": "score voc -m run -o workers.jsonl --devices cpu,cpu --unit-size 8",
    "eval": "eval predictions.csv shards --plots plots --resamples 20",
    "report": "report predictions.csv -o report.html",
    "quantize": "quantize run --max-map-drop 1 --max-changed 1",
    "int8": "score voc -m run -o int8.parquet --precision int8",
    "compare": "compare predictions.csv int8.parquet --resamples 20",
    "onnx": "export run -o model.onnx",
    "openvino": "export run -o model.xml",
}


def main() -> None:
    """Run the commands, all or those that are named."""
    import os

    from vocscore.cli.main import main as vocscore

    os.chdir(sys.argv[1])
    for name in sys.argv[2:] or COMMANDS:
        words = [*COMMANDS[name].split(), "--quiet"]
        vocscore.main(words, prog_name="vocscore", standalone_mode=False)


if __name__ == "__main__":
    main()
    sys.stdout.write(f"done in {Path.cwd()}\n")
