"""Opens engines: one in this process, or one process per device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vocscore.config.compute import ComputeConfig
from vocscore.errors import ScoreError
from vocscore.machine import bound_images, parse_device, settle_threads, usable_cores
from vocscore.scoring.engines.local import LocalEngine
from vocscore.scoring.engines.processes import ProcessEngine
from vocscore.workers.kind import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from vocscore.config.tta import Tta
    from vocscore.pipeline.batch import ImageLoader
    from vocscore.pipeline.preprocess import Preprocess


@dataclass(frozen=True, slots=True)
class EngineOpener:
    """Everything needed to open an engine, as plain values that can be sent to other processes.

    Attributes:
        checkpoint: folder of a trained network.
        identity: hash of the checkpoint; a worker restarted days later must find the same one.
        loader: as for `open_loader`.
        device: 'cpu' or 'cuda:N'.
        batch_size: images decoded together.
        threads: number of threads that read and decode.
        precision: as returned by `resolve_precision`.
        max_pixels: width times height of the largest image that is decoded.
        image_memory: MiB for the images that its process decodes at the same time.
        features: whether the backbone's features are computed too.
        tta: the views of each image; None: as it is.
        int8: hash of the quantized model, with precision 'int8'.
    """

    checkpoint: Path
    identity: str
    loader: str
    device: str
    precision: str
    batch_size: int
    threads: int
    max_pixels: int
    image_memory: int = ComputeConfig.image_memory
    features: bool = False
    tta: Tta | None = None
    int8: str | None = None

    def open(self) -> LocalEngine:
        """Load the network and open the loader.

        Raises:
            CheckpointError: the checkpoint has changed or is damaged.
            DeviceError: the device cannot be used.
        """
        from vocscore.runtime.scorer import open_scorer
        from vocscore.scoring.engines.batching import CPU_GROUP, FixedBatcher

        bound_images(self.image_memory)
        group = CPU_GROUP if self.device == "cpu" else self.batch_size
        runtime, card = open_scorer(
            self.checkpoint,
            identity=self.identity,
            device=self.device,
            precision=self.precision,
            group=group,
            features=self.features,
            tta=self.tta,
            int8=self.int8,
        )
        return LocalEngine(
            self.open_loader(card.preprocess),
            FixedBatcher(runtime, group=group),
            classes=len(card.classes),
            features=runtime.features,
        )

    def open_loader(self, preprocess: Preprocess, *, threads: int | None = None) -> ImageLoader:
        """Open a loader.

        Args:
            preprocess: of the model.
            threads: instead of its own.
        """
        from vocscore.config.tta import sizes_of
        from vocscore.pipeline.several_sizes import open_sizes

        return open_sizes(
            self.loader,
            preprocess,
            sizes_of(self.tta, preprocess.size),
            batch_size=self.batch_size,
            device=self.device,
            threads=threads or self.threads,
            max_pixels=self.max_pixels,
        )


@dataclass(frozen=True, slots=True)
class WorkerOpener:
    """An `Opener` for one of several workers.

    Attributes:
        engine: opens the engine.
        cores: number of CPU cores for this worker.
    """

    engine: EngineOpener
    cores: int

    @property
    def device(self) -> str:
        """The device of the engine."""
        return self.engine.device

    @property
    def kind(self) -> Mapping[str, str]:
        """The machine, the libraries and the arithmetic."""
        return kind_of(device=self.engine.device, precision=self.engine.precision)

    def open(self) -> LocalEngine:
        """Open the engine, limited to this worker's cores."""
        settle_threads()
        import torch

        torch.set_num_threads(self.cores)
        if self.device.startswith("cuda"):
            # otherwise pinned memory would create a context on the first GPU in every worker, too
            torch.cuda.set_device(self.device)
        return self.engine.open()


def resolve_devices(names: Sequence[str]) -> tuple[str, ...]:
    """Resolve the names of devices, one per worker.

    Args:
        names: GPU numbers or names for `resolve_device`; a device named twice gets two workers.

    Raises:
        DeviceError: there is no such device.
        ScoreError: CPU and GPUs are mixed.
    """
    from vocscore.runtime import resolve_device

    check_devices(names)
    devices = tuple(resolve_device(_full_name(name)) for name in names)
    _refuse_mixture(names, {device.partition(":")[0] for device in devices})
    return devices


def check_devices(names: Sequence[str]) -> set[str]:
    """Check the names of devices without importing torch, which knows the actual ones.

    Returns:
        Their kinds: 'auto', 'cpu' or 'cuda'.

    Raises:
        DeviceError, ScoreError: as for `resolve_devices`.
    """
    kinds = {parse_device(_full_name(name))[0] for name in names}
    _refuse_mixture(names, kinds - {"auto"})
    return kinds


def _full_name(name: str) -> str:
    return f"cuda:{name}" if name.isascii() and name.isdigit() else name


def _refuse_mixture(names: Sequence[str], kinds: set[str]) -> None:
    if len(kinds) > 1:
        raise ScoreError(
            f"`devices={','.join(names)!r}`: CPU and GPU results differ in the last bits, so rows "
            "would depend on which device scored them. Name only GPUs, or only 'cpu'."
        )


def open_workers(template: EngineOpener, devices: Sequence[str]) -> ProcessEngine:
    """Start a worker on each device and wait until all have loaded.

    Args:
        template: its threads, its memory for images and the machine's cores are divided among
            the workers; its device is ignored.
        devices: as returned by `resolve_devices`.
    """
    from dataclasses import replace

    number = len(devices)
    threads, cores = max(1, template.threads // number), max(1, usable_cores() // number)
    memory = max(1, template.image_memory // number)
    each = replace(template, threads=threads, image_memory=memory)
    return ProcessEngine([WorkerOpener(replace(each, device=d), cores) for d in devices])
