"""Penalties on attributions and on the code: what makes a code explainable in a loss."""

from attributions.penalties.contrasts import ContrastSparsity
from attributions.penalties.decoder import Hessian, JacobianSparsity, NearestNeighbour
from attributions.penalties.independence import Independence
from attributions.penalties.information import InformationFlow
from attributions.penalties.monotonicity import Monotonicity
from attributions.penalties.protocol import Penalty, Step, check_penalties, weighted_sum
from attributions.penalties.sharing import SharedSparsity
from attributions.penalties.sparsity import GroupSparsity, Sparsity

__all__ = [
    "ContrastSparsity",
    "GroupSparsity",
    "Hessian",
    "Independence",
    "InformationFlow",
    "JacobianSparsity",
    "Monotonicity",
    "NearestNeighbour",
    "Penalty",
    "SharedSparsity",
    "Sparsity",
    "Step",
    "check_penalties",
    "weighted_sum",
]
