"""Turn folders of images into multi-label predictions.

    import vocscore as vs

    vs.pack("VOCdevkit/VOC2012", "shards/")
    vs.train("shards/", "run/", recipe="strong")
    vs.score("photos/", "predictions.csv", model="run/")
    for p in vs.load("run/").predict(["a.jpg", "b.png"]):
        print(p.path, p.labels, p.error)

`__all__` is the whole API; everything else may change. Each name is loaded on first use (PEP 562),
so that importing the package costs nothing. Expected failures raise an `Error`.

The import also turns off the telemetry of the libraries in use, and sets how they share the cores
(`OMP_WAIT_POLICY`, `MKL_CBWR`; a variable that is already set is kept). Libraries read these when
they are loaded: import vocscore before torch, or the last bits of probabilities may differ from
those of `vocscore score`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vocscore import machine, offline

if TYPE_CHECKING:
    from shards.errors import Error
    from vocscore.api.batch_loader import BatchLoader
    from vocscore.api.demo import demo
    from vocscore.api.evaluation import Evaluation
    from vocscore.api.exporting import export, quantize
    from vocscore.api.importing import import_model
    from vocscore.api.info import Info
    from vocscore.api.jobs import pack, plan, score, train, verify
    from vocscore.api.load import load
    from vocscore.api.loader import loader
    from vocscore.api.merging import merge
    from vocscore.api.model import Model
    from vocscore.api.prediction import Prediction
    from vocscore.api.predictions import Predictions
    from vocscore.api.results import compare, evaluate, info, relabel, report, view
    from vocscore.api.webdataset import webdataset
    from vocscore.comparing import CompareReport
    from vocscore.config.charts import ChartConfig
    from vocscore.config.cluster import ClusterConfig
    from vocscore.config.comparing import ComparedConfig
    from vocscore.config.compute import ComputeConfig, DecodeConfig
    from vocscore.config.demo import DemoConfig
    from vocscore.config.evaluating import BootstrapConfig, JudgedConfig, MetricsConfig
    from vocscore.config.exporting import (
        AcceptanceConfig,
        CalibrationConfig,
        CheckConfig,
        ModelFileConfig,
    )
    from vocscore.config.importing import (
        ComparisonConfig,
        ImportedModelConfig,
        PreprocessingConfig,
        RunFolderConfig,
    )
    from vocscore.config.jobs import JobLimitsConfig, JobsConfig, MergedConfig
    from vocscore.config.model import ModelConfig
    from vocscore.config.optimization import OptimizationConfig
    from vocscore.config.pack_workers import PackWorkersConfig
    from vocscore.config.packing import ImagesConfig, LabelsConfig, ShardsConfig, SplitConfig
    from vocscore.config.planning import PlanningConfig
    from vocscore.config.relabeling import RelabelConfig
    from vocscore.config.reporting import ContentsConfig
    from vocscore.config.scoring import (
        InferenceConfig,
        InputsConfig,
        LimitsConfig,
        OutputConfig,
        UpdateConfig,
    )
    from vocscore.config.training import (
        AugmentationConfig,
        CheckpointConfig,
        DataConfig,
        LossConfig,
        RunConfig,
    )
    from vocscore.config.verifying import ChecksConfig, DuplicatesConfig
    from vocscore.config.viewing import ServerConfig, SubjectConfig
    from vocscore.exporting.export import ExportReport
    from vocscore.exporting.quantize import QuantizeReport
    from vocscore.importing.job import ImportReport
    from vocscore.packing import PackReport
    from vocscore.pipeline.batch import Batch
    from vocscore.reporting.report import WrittenReport
    from vocscore.scoring.forecast.plan_report import PlanReport
    from vocscore.scoring.relabel import RelabelReport
    from vocscore.scoring.score_report import ScoreReport
    from vocscore.training.history import EpochResult, TrainReport
    from vocscore.verifying import VerifyReport
    from vocscore.view.server import PageServer

    __version__: str

__all__ = [
    "AcceptanceConfig",
    "AugmentationConfig",
    "Batch",
    "BatchLoader",
    "BootstrapConfig",
    "CalibrationConfig",
    "ChartConfig",
    "CheckConfig",
    "CheckpointConfig",
    "ChecksConfig",
    "ClusterConfig",
    "CompareReport",
    "ComparedConfig",
    "ComparisonConfig",
    "ComputeConfig",
    "ContentsConfig",
    "DataConfig",
    "DecodeConfig",
    "DemoConfig",
    "DuplicatesConfig",
    "EpochResult",
    "Error",
    "Evaluation",
    "ExportReport",
    "ImagesConfig",
    "ImportReport",
    "ImportedModelConfig",
    "InferenceConfig",
    "Info",
    "InputsConfig",
    "JobLimitsConfig",
    "JobsConfig",
    "JudgedConfig",
    "LabelsConfig",
    "LimitsConfig",
    "LossConfig",
    "MergedConfig",
    "MetricsConfig",
    "Model",
    "ModelConfig",
    "ModelFileConfig",
    "OptimizationConfig",
    "OutputConfig",
    "PackReport",
    "PackWorkersConfig",
    "PageServer",
    "PlanReport",
    "PlanningConfig",
    "Prediction",
    "Predictions",
    "PreprocessingConfig",
    "QuantizeReport",
    "RelabelConfig",
    "RelabelReport",
    "RunConfig",
    "RunFolderConfig",
    "ScoreReport",
    "ServerConfig",
    "ShardsConfig",
    "SplitConfig",
    "SubjectConfig",
    "TrainReport",
    "UpdateConfig",
    "VerifyReport",
    "WrittenReport",
    "__version__",
    "compare",
    "demo",
    "evaluate",
    "export",
    "import_model",
    "info",
    "load",
    "loader",
    "merge",
    "pack",
    "plan",
    "quantize",
    "relabel",
    "report",
    "score",
    "train",
    "verify",
    "view",
    "webdataset",
]

_MODULES = {
    "shards.errors": ("Error",),
    "vocscore.api.batch_loader": ("BatchLoader",),
    "vocscore.api.info": ("Info",),
    "vocscore.api.importing": ("import_model",),
    "vocscore.api.demo": ("demo",),
    "vocscore.api.exporting": ("export", "quantize"),
    "vocscore.api.jobs": ("pack", "plan", "score", "train", "verify"),
    "vocscore.api.loader": ("loader",),
    "vocscore.api.load": ("load",),
    "vocscore.api.merging": ("merge",),
    "vocscore.api.model": ("Model",),
    "vocscore.api.predictions": ("Prediction", "Predictions"),
    "vocscore.api.results": ("compare", "evaluate", "info", "relabel", "report", "view"),
    "vocscore.api.webdataset": ("webdataset",),
    "vocscore.comparing": ("CompareReport",),
    "vocscore.config.comparing": ("ComparedConfig",),
    "vocscore.config.planning": ("PlanningConfig",),
    "vocscore.config.relabeling": ("RelabelConfig",),
    "vocscore.config.reporting": ("ContentsConfig",),
    "vocscore.reporting.report": ("WrittenReport",),
    "vocscore.config.viewing": ("ServerConfig", "SubjectConfig"),
    "vocscore.scoring.relabel": ("RelabelReport",),
    "vocscore.view.server": ("PageServer",),
    "vocscore.config.charts": ("ChartConfig",),
    "vocscore.config.compute": ("ComputeConfig", "DecodeConfig"),
    "vocscore.config.demo": ("DemoConfig",),
    "vocscore.config.evaluating": ("BootstrapConfig", "JudgedConfig", "MetricsConfig"),
    "vocscore.config.exporting": (
        "AcceptanceConfig",
        "CalibrationConfig",
        "CheckConfig",
        "ModelFileConfig",
    ),
    "vocscore.config.importing": (
        "ComparisonConfig",
        "ImportedModelConfig",
        "PreprocessingConfig",
        "RunFolderConfig",
    ),
    "vocscore.config.cluster": ("ClusterConfig",),
    "vocscore.config.jobs": ("JobLimitsConfig", "JobsConfig", "MergedConfig"),
    "vocscore.config.pack_workers": ("PackWorkersConfig",),
    "vocscore.config.packing": ("ImagesConfig", "LabelsConfig", "ShardsConfig", "SplitConfig"),
    "vocscore.config.scoring": (
        "InferenceConfig",
        "InputsConfig",
        "LimitsConfig",
        "OutputConfig",
        "UpdateConfig",
    ),
    "vocscore.config.model": ("ModelConfig",),
    "vocscore.config.training": (
        "AugmentationConfig",
        "CheckpointConfig",
        "DataConfig",
        "LossConfig",
        "OptimizationConfig",
        "RunConfig",
    ),
    "vocscore.api.evaluation": ("Evaluation",),
    "vocscore.config.verifying": ("ChecksConfig", "DuplicatesConfig"),
    "vocscore.exporting.export": ("ExportReport",),
    "vocscore.exporting.quantize": ("QuantizeReport",),
    "vocscore.importing.job": ("ImportReport",),
    "vocscore.packing": ("PackReport",),
    "vocscore.pipeline.batch": ("Batch",),
    "vocscore.scoring.forecast.plan_report": ("PlanReport",),
    "vocscore.scoring.score_report": ("ScoreReport",),
    "vocscore.training.history": ("EpochResult", "TrainReport"),
    "vocscore.verifying": ("VerifyReport",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

offline.settle()
machine.settle_threads()


def __getattr__(name: str) -> Any:
    """Load a name of the API on first use."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("vocscore")
    elif name in _MODULE_OF:
        value = getattr(import_module(_MODULE_OF[name]), name)
    else:
        raise AttributeError(f"module 'vocscore' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The names of the API, for completion."""
    return __all__
