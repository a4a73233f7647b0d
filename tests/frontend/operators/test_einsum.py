"""Einsum against onnxruntime."""

import pytest
from helpers.onnx_models import check_op, normal, one_node

from onnx2genn import UnsupportedModelError
from onnx2genn.frontend.pipeline import check


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ni,io->no", [(4,), normal(4, 3)]),
        ("nci,oi->nco", [(2, 4), normal(3, 4)]),
        ("ntc,chd->nhtd", [(5, 4), normal(4, 2, 3)]),
        ("io,nih->nho", [normal(4, 3), (4, 5)]),
        ("nij->nji", [(3, 4)]),
        ("nij->ni", [(3, 4)]),
        ("ni,i,io->no", [(4,), normal(4), normal(4, 3)]),
        # A matrix for each element of the axes that all three have.
        ("nhmd,hde->nhme", [(2, 5, 4), normal(2, 4, 3)]),
        ("nhmd,hde->nmhe", [(2, 5, 4), normal(2, 4, 3)]),
        ("nhd,hde->nhe", [(2, 4), normal(2, 4, 3)]),
        ("hed,ndmh->nehm", [normal(2, 3, 4), (4, 5, 2)]),
        ("nabd,abde->neab", [(2, 3, 4), normal(2, 3, 4, 5)]),
        ("nhd,hd->nh", [(2, 4), normal(2, 4)]),
        ("nhd,d->nhd", [(2, 4), normal(4)]),
        ("nhd,h,hde->nhe", [(2, 4), normal(2), normal(2, 4, 3)]),
    ],
)
def test_einsum(equation, shapes):
    check_op("Einsum", shapes, equation=equation)


@pytest.mark.parametrize("equation", ["ni,io->on", "in,io->no", "ni,no->no"])
def test_einsum_that_mixes_samples_is_refused(equation):
    shapes = [(4,), normal(4, 4)]
    with pytest.raises(UnsupportedModelError):
        check_op("Einsum", shapes, equation=equation)


_SUMS = ("nij,njk->nik", "nihd,njhd->nhij", "nij,nij->n")


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("nij,njk->nik", [(3, 4), (4, 5)]),
        ("nihd,njhd->nhij", [(3, 2, 4), (5, 2, 4)]),
        ("nij,nk->nikj", [(3, 4), (5,)]),
        ("nij,nij->n", [(3, 4), (3, 4)]),
        ("ni,ni->ni", [(4,), (4,)]),
    ],
)
def test_einsum_of_two_activations(equation, shapes):
    found = check_op("Einsum", shapes, equation=equation)
    (population,) = found.parts.populations
    assert population.multiplies == (equation in _SUMS)


def test_einsum_sums_what_one_operand_has_alone():
    found = check_op("Einsum", [(3, 4, 2), (4, 5)], equation="nijd,njk->nik")
    population = found.parts.populations[-1]
    assert [item.shape for item in population.port_segments] == [(12,), (20,)]


@pytest.mark.parametrize("equation", ["nij,mjk->nmik", "nij,njk,nkl->nil", "nii,nij->nj"])
def test_einsum_of_activations_that_is_refused(equation):
    shapes = [(4, 4)] * (equation.count(",") + 1)
    (problem,) = check(one_node("Einsum", shapes, equation=equation))
    assert "samples" in problem.reason or "no product" in problem.reason
