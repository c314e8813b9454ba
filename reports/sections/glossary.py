"""The glossary: the report's terms, for readers who meet them here for the first time."""

from reports.analysis.critics import LEAST_ACCURACY, LEAST_RATIO, LEAST_SHARE, MOST_GROWTH
from reports.analysis.frames import Frames
from reports.analysis.statistics import OUTCOMES
from reports.document import Facts, Section

WORDS = {
    "hole, surround": "The part of an image that is to be repaired, and the rest of the image.",
    "raw, composite, blended": "The generator's output; its hole placed in the original image; the composite after "
    "Poisson blending, which smooths the hole's edge.",
    "PSNR": "Peak signal-to-noise ratio, in decibels (dB): how small the mean squared error is. Half the error is 3 dB "
    "more. Blurred repairs score well.",
    "SSIM": "Structural similarity, at most 1: how alike two images are in local mean, contrast and structure.",
    "seam error": "How much the step across the hole's edge differs from the truth; 0 is best.",
    "sharpness": "The repair's mean gradient as a share of the truth's: under 1 it is blurred, over 1 it is noisy.",
    "artefact": "The repair's strongest fine detail, relative to what the truth has near. Above 1 it is an artefact: a "
    "checkerboard, noise, stripes. docs/artefacts.md shows what is found.",
    "generator, critic": "The network that repairs, and a network trained to tell repairs from real images (in the "
    "paper: discriminator). The gap is the mean score of real images minus that of repairs.",
    "WGAN, JS, WGAN-GP": "Losses that critics are trained with: Wasserstein with clipped weights, the usual "
    "cross-entropy (Jensen-Shannon), Wasserstein with a penalty on the gradient.",
    "method, variant, run": "CE, GLCIC, GIICA, the proposed model; one of them with its settings; a variant trained on "
    "one data set from one seed.",
    "control, filler": "A variant without the part that is claimed to help; a rule that fills the hole without "
    "training.",
    "external": "A method that was not trained here: its repairs of the same test images were scored from files, with "
    "the same protocol.",
    "seed": "Determines all random numbers of a run: first weights, order of images, flips. Runs with the same seed "
    "and the same start are compared in pairs.",
    "interval": "The 95% interval of a mean or a difference, over seeds and test images.",
    "detectable": "The minimum detectable effect: the smallest true effect that this many seeds and images find with a "
    "probability of 80%.",
    "outcomes": " ".join(f"{outcome.capitalize()}: {meaning}" for outcome, meaning in OUTCOMES.items()),
    "adjusted p": "The least error level at which an outcome stands, after Holm's adjustment for all claims that were "
    "tested by chance. At 0.05 or less the outcome stands.",
    "awake, asleep, exploded": "The state of a critic in the second half of joint training. It is asleep if it gives "
    f"the real image the higher score in less than {LEAST_ACCURACY:.0%} of pairs, or has less than {LEAST_SHARE:.0%} "
    f"of the critics' gradients. It has exploded if the gradient of its weights grew over {MOST_GROWTH:g} times.",
    "inert critics": "Critics that could not have made a difference: one of them is asleep, the adversarial gradient "
    f"is less than {LEAST_RATIO:.0%} of the reconstruction loss's, or the model equals the one without critics in "
    "every metric. Where critics are inert, no difference between them is no result.",
    "as printed, scaled": "Claims about critics are answered twice: with the paper's weights, and (C3-scaled, ...) "
    "with weights that give the critics a stated share of the reconstruction loss's gradient.",
    "reading, universe": "A choice that the paper leaves open (docs/readings.md numbers them); one set of such "
    "choices. A multiverse is many universes.",
    "stage": "A part of a run's work: the generator alone, a critic alone, all together, evaluation. Runs share stages "
    "that are the same.",
    "scope": "What the outcomes apply to: the paper's data and schedule (paper), its kind of data with a smaller "
    "budget (reduced), or other data.",
    "MMAC": "A million multiply-accumulates, the work of a network on one image.",
    "docs/NAME.md": "A page of the documentation. It comes with the program: 'study docs NAME' shows it.",
}


TERMS = {
    **{name: WORDS[name] for name in ("PSNR", "SSIM", "seam error", "sharpness", "artefact", "MMAC")},
    "composite": WORDS["raw, composite, blended"],
    "Poisson blending": WORDS["raw, composite, blended"],
    "WGAN": WORDS["WGAN, JS, WGAN-GP"],
    "minimum detectable effect": WORDS["detectable"],
    "Adjusted": WORDS["adjusted p"],
    "inert": WORDS["inert critics"],
    "awake": WORDS["awake, asleep, exploded"],
    "reading": WORDS["reading, universe"],
    "multiverse": WORDS["reading, universe"],
}
"""The words that the page explains where they occur."""


def glossary(frames: Frames) -> Section:
    """The glossary; the same for every study."""
    return Section(id="words", title="Glossary", blocks=[Facts(list(WORDS.items()))], folded=True)
