"""How the modules import each other."""

from __future__ import annotations

from graphlib import TopologicalSorter

import grimp


def test_no_module_imports_itself_in_a_circle() -> None:
    """Neither late, nor for types alone; a package's own file counts as a module like others."""
    graph = grimp.build_graph("vocscore", "shards", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert len(imports) > 200
    TopologicalSorter(imports).prepare()  # CycleError names the modules of a circle
