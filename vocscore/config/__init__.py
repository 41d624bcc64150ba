"""The options of every command, in groups: the only place of defaults, help texts and ranges.

Each command has a dataclass of groups (`TrainConfig`, `ScoreConfig`, `PackConfig` ...). The command
line, the Python functions and the recipes are built from them; what does the work below takes
groups where it would have many arguments, and plain arguments elsewhere.
"""

from vocscore.config.compute import ComputeConfig, DecodeConfig
from vocscore.config.demo import DemoConfig
from vocscore.config.evaluating import BootstrapConfig, EvalConfig, JudgedConfig, MetricsConfig
from vocscore.config.exporting import (
    AcceptanceConfig,
    CalibrationConfig,
    CheckConfig,
    ExportConfig,
    ModelFileConfig,
    QuantizeConfig,
)
from vocscore.config.packing import (
    ImagesConfig,
    LabelsConfig,
    PackConfig,
    ShardsConfig,
    SplitConfig,
)
from vocscore.config.scoring import (
    InferenceConfig,
    InputsConfig,
    LimitsConfig,
    OutputConfig,
    ScoreConfig,
)
from vocscore.config.training import (
    AugmentationConfig,
    CheckpointConfig,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimizationConfig,
    RunConfig,
    TrainConfig,
)

__all__ = [
    "AcceptanceConfig",
    "AugmentationConfig",
    "BootstrapConfig",
    "CalibrationConfig",
    "CheckConfig",
    "CheckpointConfig",
    "ComputeConfig",
    "DataConfig",
    "DecodeConfig",
    "DemoConfig",
    "EvalConfig",
    "ExportConfig",
    "ImagesConfig",
    "InferenceConfig",
    "InputsConfig",
    "JudgedConfig",
    "LabelsConfig",
    "LimitsConfig",
    "LossConfig",
    "MetricsConfig",
    "ModelConfig",
    "ModelFileConfig",
    "OptimizationConfig",
    "OutputConfig",
    "PackConfig",
    "QuantizeConfig",
    "RunConfig",
    "ScoreConfig",
    "ShardsConfig",
    "SplitConfig",
    "TrainConfig",
]
