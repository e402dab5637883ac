"""Let a torchvision whose compiled part does not load be imported on a CPU torch.

This file is copied into site-packages and imported by a `.pth` file when the interpreter starts,
so it imports nothing itself: it only watches for `import torchvision`. Then it loads torchvision's
compiled operators, as torchvision is about to do. If they load, or if torch is not a CPU build, it
does nothing. Otherwise it declares the schemas of the operators that torchvision's Python code
looks up while it is imported (`nms` and `qnms`), so that transforms and image input and output
work; calling the operators themselves still raises.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["TorchvisionFinder", "install"]

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_keep_alive: list[object] = []


class TorchvisionFinder:
    """A finder that finds torchvision through the others and prepares torch before it runs."""

    def find_spec(
        self, name: str, path: object = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if name != "torchvision":
            return None
        for finder in sys.meta_path:
            if isinstance(finder, TorchvisionFinder):
                continue
            spec = finder.find_spec(name, path, target)  # type: ignore[arg-type]
            if spec is not None:
                _prepare_when_executed(spec)
                return spec
        return None


def install() -> None:
    """Watch for the first import of torchvision, once per process."""
    if "torchvision" in sys.modules:
        return
    if not any(isinstance(finder, TorchvisionFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, TorchvisionFinder())


def _prepare_when_executed(spec: "ModuleSpec") -> None:
    loader = spec.loader
    if loader is None:
        return
    execute = loader.exec_module

    def exec_module(module: "ModuleType") -> None:
        declare_missing_operators(list(spec.submodule_search_locations or ()))
        execute(module)

    # Looking for torchvision without importing it (`find_spec`) must stay free of torch.
    loader.exec_module = exec_module  # type: ignore[method-assign]


def declare_missing_operators(folders: list[str]) -> bool:
    """Declare `nms` and `qnms` where the compiled part in `folders` does not load on a CPU torch.

    Returns whether something was declared.
    """
    try:
        import torch
    except (ImportError, OSError):
        return False  # torchvision's own import says it better
    if torch.version.cuda is not None or getattr(torch.version, "hip", None) is not None:
        return False
    if _compiled_part_loads(folders) or hasattr(torch.ops.torchvision, "nms"):
        return False
    library = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        library.define(schema)
    _keep_alive.append(library)
    return True


def _compiled_part_loads(folders: list[str]) -> bool:
    from importlib.machinery import PathFinder

    import torch

    spec = PathFinder.find_spec("_C", folders)
    if spec is None or spec.origin is None:
        return False
    try:
        torch.ops.load_library(spec.origin)
    except OSError:
        return False
    return True


install()
