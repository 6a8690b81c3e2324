"""The transformation layer on a code: along which axes to look.

A standard normal prior does not say along which axes latents are to be read. A layer of this
package says it: an invertible map between latents and coordinates, whose way back is exact.
`attributions.turned` sees a code along it.
"""

from attributions.axes.base import Axes
from attributions.axes.chains import Chain, axes_of
from attributions.axes.flow import Flow
from attributions.axes.grouping import dead_latents, groups_of
from attributions.axes.linear import Linear, Rotation

__all__ = ["Axes", "Chain", "Flow", "Linear", "Rotation", "axes_of", "dead_latents", "groups_of"]
