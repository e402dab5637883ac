"""The operators as torch sees them, and the reference against the families' own code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from sensorium.kernels.accuracy import TOLERANCE, relative_error
from sensorium.kernels.all_cases import ALL_CASES
from sensorium.kernels.cases import Case, Maker
from sensorium.kernels.embed_merge import embed_merge, plan_merge
from sensorium.kernels.gather_norm import gather_norm, gather_norm_fp8
from sensorium.kernels.ldpv2_tail import ldpv2_tail
from sensorium.kernels.pack_project import (
    PackPlan,
    Tiled,
    pack_project,
    pack_rows,
    plan_packing,
    tiled_rows,
)
from sensorium.kernels.plans import all_rows, grids, padded_squares, runs, squares, valid_frames

CPU = torch.device("cpu")
INDEX = torch.tensor([[0, 3], [-1, 2]], dtype=torch.int32)
SOURCE = torch.tensor([2, -1, 0], dtype=torch.int32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)
def test_the_reference_equals_the_family(case: Case, dtype: torch.dtype) -> None:
    exact = case.build(case.tiny, Maker(dtype, exact=True))
    work = case.build(case.tiny, Maker(dtype))
    expected = exact.eager(exact.x).clone()
    assert relative_error(work.ours(work.x), expected) < case.allowed(dtype)
    held = 1e-14 if case.rounds_to is None else TOLERANCE[case.rounds_to]
    assert relative_error(exact.ours(exact.x), expected) < held


def calls() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    x, ops = torch.randn(4, 8), torch.ops.sensorium
    vector = torch.randn(16)
    plan = plan_merge(torch.tensor([False, True, True]), [2])
    ids, table, media = torch.tensor([1, 90, 90]), torch.randn(5, 8), [torch.randn(2, 8)]
    return {
        "gather_norm": (ops.gather_norm, (x, INDEX, vector, vector, "layer", 1e-6, False)),
        "pooled": (ops.gather_norm, (x, INDEX, None, None, "rms", 1e-6, True)),
        "gather_norm_fp8": (ops.gather_norm_fp8, (x, INDEX, None, None, "none", 1e-6, False)),
        "pack_rows": (ops.pack_rows, (x, SOURCE)),
        "embed_merge": (ops.embed_merge, (ids, table, media, plan, 1.5, torch.empty(3, 8))),
        "ldpv2_tail": (ops.ldpv2_tail, (x, torch.randn(8, 1, 3, 3), torch.randn(8), 2)),
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", calls())
def test_schema_fake_and_mutation_are_declared(name: str) -> None:
    operator, arguments = calls()[name]
    torch.library.opcheck(operator.default, arguments)


@pytest.mark.filterwarnings("default")
def test_compiled_without_breaks_and_once_for_all_sizes() -> None:
    def stage(x: torch.Tensor, source: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        packed = pack_rows(x, source)
        rows = gather_norm(packed, source[:, None].clamp(0, 1), norm="rms") * 2
        plan = torch.stack([source * 0 - 1, source * 0])
        return embed_merge(source, packed, [], plan, out) + rows

    graphs: list[Any] = []

    def count(graph: Any, inputs: Any) -> Callable[..., Any]:
        graphs.append(graph)
        run: Callable[..., Any] = graph.forward
        return run

    torch._dynamo.reset()
    compiled = torch.compile(stage, backend=count, fullgraph=True, dynamic=True)
    for rows in (5, 9, 12):
        x = torch.randn(rows, 16)
        source = torch.arange(rows - 2, dtype=torch.int32)
        out = torch.empty(rows - 2, 16)
        expected = stage(x, source, torch.empty(rows - 2, 16))
        assert torch.equal(compiled(x, source, out), expected)
    assert len(graphs) == 1


class TestWrongShapes:
    X = torch.zeros(4, 8)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda x: gather_norm(x[0], INDEX, norm="rms"), "got \\[8\\]"),
            (lambda x: gather_norm(x, INDEX.long(), norm="rms"), "int32 index"),
            (lambda x: gather_norm(x, INDEX, x[0]), "\\[16\\], got \\[8\\]"),
            (lambda x: gather_norm(x, INDEX, norm="batch"), "allowed: none, layer, rms"),
            (lambda x: gather_norm_fp8(x, INDEX[0]), "int32 index"),
            (lambda x: pack_rows(x, INDEX), "int32 source"),
            (lambda x: ldpv2_tail(x, x, x[0], 3), "even grid"),
            (lambda x: ldpv2_tail(x, x, x[0], 2), "\\[8, 1, 3, 3\\]"),
            (lambda x: embed_merge(SOURCE, x, [], INDEX, x), "plan \\[2, 3\\]"),
        ],
    )
    def test_are_named(self, call: Callable[[torch.Tensor], Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            call(self.X)

    def test_a_buffer_of_another_dtype_is_refused(self) -> None:
        plan = plan_merge(torch.zeros(3, dtype=torch.bool), [])
        with pytest.raises(ValueError, match="must be dense and of"):
            embed_merge(SOURCE, self.X, [], plan, torch.empty(3, 8, dtype=torch.float16))


class TestPlans:
    def test_rows_without_the_class_token(self) -> None:
        assert all_rows(2, 3, 1, CPU).flatten().tolist() == [1, 2, 4, 5]

    def test_squares_go_row_by_row(self) -> None:
        assert squares(1, 2, 4, 2, 1, CPU).tolist() == [[1, 2, 5, 6], [3, 4, 7, 8]]

    def test_rows_that_a_square_lacks_are_absent(self) -> None:
        assert padded_squares(1, 3, 2, 2, CPU).tolist() == [[0, 1, 2, 3], [4, 5, -1, -1]]
        assert padded_squares(2, 2, 2, 2, CPU).tolist() == squares(2, 2, 2, 2, 0, CPU).tolist()

    def test_images_of_several_sizes_follow_one_another(self) -> None:
        index = grids(((2, 2), (2, 5), (4, 2)), 2, CPU).tolist()
        assert index[:3] == [[0, 1, 2, 3], [4, 5, 9, 10], [6, 7, 11, 12]]  # 8 and 13 are left over
        assert index[3:] == [[14, 15, 16, 17], [18, 19, 20, 21]]
        assert grids((), 2, CPU).shape == (0, 4)

    def test_runs(self) -> None:
        assert runs(4, 2, CPU).tolist() == [[0, 1], [2, 3]]
        with pytest.raises(ValueError, match="5 rows are no runs of 2"):
            runs(5, 2, CPU)

    def test_a_grid_that_has_no_such_squares_is_refused(self) -> None:
        with pytest.raises(ValueError, match="5x4 has no squares of 2x2"):
            squares(1, 5, 4, 2, 0, CPU)

    def test_frames_of_each_clip(self) -> None:
        assert valid_frames((2, 1), 4, 2, CPU).tolist() == [[0, 1], [2, 3], [4, 5]]
        with pytest.raises(ValueError, match="hold 2"):
            valid_frames((3,), 4, 2, CPU)

    def test_merging_counts_places(self) -> None:
        plan = plan_merge(torch.tensor([True, False, True, True]), [1, 2])
        assert plan.tolist() == [[0, -1, 1, 1], [0, -1, 0, 1]]
        with pytest.raises(ValueError, match="got 2 media rows for 1 places"):
            plan_merge(torch.tensor([True]), [2])

    def test_packing_marks_newlines_and_counts_tokens(self) -> None:
        images = [Tiled(1, 2, 0, 2, 1, 3), Tiled(0, 0)]
        plan = plan_packing([tiled_rows(image, 2, skip=1) for image in images], CPU)
        assert plan.lengths == (4 + 6, 5)
        assert plan.source.tolist()[4:10] == [7, 11, -1, 9, 13, -1]
        assert plan.newlines.tolist() == [6, 9, 14]
        without = [tiled_rows(image, 2, newline=False) for image in images]
        assert plan_packing(without, CPU).lengths == (8, 4)

    def test_packing_first_projects_fewer_rows_and_gives_the_same(self) -> None:
        images = [Tiled(2, 2, 1, 7, 0, 8), Tiled(0, 0)]
        features = torch.randn(6, 16, 12).double()
        project = torch.nn.Sequential(
            torch.nn.Linear(12, 20), torch.nn.GELU(), torch.nn.Linear(20, 20)
        ).double()
        newline = torch.randn(20).double()
        plan: PackPlan = plan_packing([tiled_rows(image, 4) for image in images], CPU)
        with torch.no_grad():
            first = pack_project(features.flatten(0, 1), plan, project, newline)
            after = pack_project(
                project(features).flatten(0, 1), plan, torch.nn.Identity(), newline
            )
        assert len(plan.source) - len(plan.newlines) < 6 * 16
        for one, other in zip(first, after, strict=True):
            assert relative_error(one, other) < 1e-14
