"""GIICA, Yu 2018: generative image inpainting with contextual attention (DeepFill v1), Figure 4 (c) in the paper.

Its networks are in ``contextual_attention``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from models.method import Critic, Method, Optimizer, Recipe, Reconstruction, Trained
from models.options import Positive, reading

ADAM = Optimizer(kind="adam", lr=1e-4, betas=[0.5, 0.9])
WGAN_GP = Recipe(kind="wgan_gp", penalty=5.0, critic_steps=5, optimizer=ADAM)
"""The released penalty is 10, for images in -1..1. A slope of 1 there is a slope of 2 on images in 0..1."""


class GiicaOptions(Trained):
    """GIICA as in its paper and its released code: coarse to fine, two critics, trained jointly from the start."""

    as_published: ClassVar[bool] = True

    optimizer: Optimizer = reading(ADAM, "R26", "the generator's optimiser")
    loss: Recipe = Field(default=WGAN_GP, description="a recipe: loss, norm, optimiser and bound that belong together")
    weight: Positive = reading(
        0.002, "R26", "the weight of the adversarial loss of each critic; released 0.001, for images in -1..1"
    )
    discount: Annotated[float, Field(gt=0, le=1)] = reading(
        0.9, "R26", "the factor on an error for each ring of pixels further inside the hole"
    )

    def method(self, image_size: int) -> Method:
        """Yu 2018, sections 3 and 4.

        The released losses are for images in -1..1, so 1.2 there is 2.4 for 0..1. The first weights have the spread of
        TensorFlow's Xavier initialisation at any width; with He's, half of the clipped output has no gradient at first.
        Raises ValueError if the loss asks for normalised critics.
        """
        if self.loss.norm != "none":
            raise ValueError(f"loss.norm: GIICA's critics have no {self.loss.norm} norm; choose none")
        network = {"kind": "giica", "image_side": image_size, "width": self.width}
        return Method(
            generator=network,
            optimizer=self.optimizer,
            rates={},
            reconstruction=Reconstruction(norm="l1", weight=2.4, discount=self.discount, known=1.0, coarse=1.2),
            fill=[0.5, 0.5, 0.5],
            critics={
                view: Critic(network={**network, "view": view}, recipe=self.loss, weight=self.weight)
                for view in ("local", "global")
            },
            stages=["joint"],
            init_std=0.04 / self.width**0.5,
        )
