"""Generates `keywords.py` from the groups of options, so that the two always agree.

python -m vocscore.api.keyword_stubs vocscore/api/keywords.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vocscore.api.settings import hint
from vocscore.config.charts import ChartConfig
from vocscore.config.comparing import CompareConfig
from vocscore.config.compute import ComputeConfig
from vocscore.config.demo import DemoConfig
from vocscore.config.evaluating import EvalConfig
from vocscore.config.exporting import ExportConfig, QuantizeConfig
from vocscore.config.groups import declared
from vocscore.config.importing import ImportConfig
from vocscore.config.jobs import MergeConfig
from vocscore.config.packing import PackConfig
from vocscore.config.planning import PlanConfig
from vocscore.config.relabeling import RelabelConfig
from vocscore.config.reporting import ReportConfig
from vocscore.config.scoring import ScoreConfig
from vocscore.config.training import RunConfig, TrainConfig
from vocscore.config.verifying import VerifyConfig
from vocscore.config.viewing import ViewConfig

if TYPE_CHECKING:
    from vocscore.config.option import Option

_WIDTH: Final = 100
"""Columns of a line of the source."""
KEYWORDS: Final[dict[str, tuple[type[Any], ...]]] = {
    "Pack": (PackConfig,),
    "Verify": (VerifyConfig,),
    "Train": (TrainConfig, RunConfig, ComputeConfig, ChartConfig),
    "Plan": (PlanConfig,),
    "Score": (ScoreConfig,),
    "Merge": (MergeConfig,),
    "Eval": (EvalConfig,),
    "Compare": (CompareConfig,),
    "Relabel": (RelabelConfig,),
    "View": (ViewConfig,),
    "Report": (ReportConfig,),
    "Quantize": (QuantizeConfig,),
    "Export": (ExportConfig,),
    "ImportModel": (ImportConfig,),
    "Demo": (DemoConfig,),
}

_FUNCTIONS: Final = {"Eval": "evaluate", "ImportModel": "import_model"}
"""Functions whose names do not follow from those of their keywords."""

_HEAD = '''"""The keywords of the API's functions, for editors and type checkers.

Written by `make docs` from the groups in `vocscore/config`, which hold defaults, ranges and help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
'''


def _field(option: Option) -> str:
    """The line of one keyword; many choices stand below each other, as `ruff format` has them."""
    line = f"    {option.name}: {hint(option)}"
    if len(line) <= _WIDTH or not option.choices or option.many or not option.optional:
        return line
    choices = "".join(f"            {json.dumps(one)},\n" for one in option.choices)
    return f"    {option.name}: (\n        Literal[\n{choices}        ]\n        | None\n    )"


def text() -> str:
    """The source of the module."""
    parts = [_HEAD]
    for name, kinds in KEYWORDS.items():
        fields = "\n".join(map(_field, declared(*kinds)))
        function = _FUNCTIONS.get(name, name.lower())
        summary = f'    """Options of `vocscore.{function}`."""'
        parts.append(f"class {name}Keywords(TypedDict, total=False):\n{summary}\n\n{fields}\n")
    return "\n\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
