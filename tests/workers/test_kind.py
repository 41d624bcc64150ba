"""What the last bits of a result depend on."""

from __future__ import annotations

from importlib.metadata import version

from vocscore.workers.kind import differences, kind_of, processor


def test_a_cpus_kind_names_versions_and_the_processor(tmp_path):
    """As /proc/cpuinfo names it; the number of threads is no part of it."""
    kind = kind_of(device="cpu", precision="bf16")
    assert kind["torch"] == version("torch")
    assert kind["OpenVINO"] == version("openvino")
    assert kind["precision"] == "bf16"
    assert set(kind) == {"vocscore", "Python", "torch", "OpenVINO", "processor", "precision"}
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast 9000\nmodel name\t: other\n")
    assert processor(cpuinfo) == "Fast 9000"
    assert processor(tmp_path / "none")  # the architecture


def test_differences_are_named():
    """Each with both values; none between equal ones."""
    one = {"processor": "A", "torch": "2.9"}
    assert differences(one, dict(one)) == ""
    other = {"processor": "B", "torch": "2.9", "cuDNN": "9"}
    assert differences(one, other) == "cuDNN 9 instead of none, processor B instead of A"
