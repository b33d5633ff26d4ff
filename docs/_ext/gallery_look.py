"""One look for the pictures of the gallery, and their order."""

COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]  # Okabe and Ito


def plain_look(gallery_conf, fname):
    """Before each example: legible at the width of a page, colours that everybody tells apart."""
    import matplotlib.pyplot as plt

    plt.rcdefaults()
    plt.rcParams.update(
        {
            "figure.dpi": 100,
            "figure.figsize": (7.2, 4.2),
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": plt.cycler(color=COLORS),
            "legend.frameon": False,
            "lines.linewidth": 2,
            "animation.writer": "pillow",  # which comes with matplotlib
            "animation.frame_format": "jpeg",  # 40 % of the size of png
        }
    )


class LectureOrder:
    """Examples in the order of the lecture; others behind, by name."""

    NAMES = (
        "gd_and_sgd",
        "running_time",
        "saddle",
        "valley",
        "descent_paths",
        "animated_descent",
        "four_solvers",
        "reading_a_loss_curve",
        "raw_data",
        "white_coordinates",
        "stream",
        "coefficients",
        "larger_than_memory",
        "cluster",
        "grid_search",
    )

    def __init__(self, folder):
        pass

    def __call__(self, filename):
        """Return the key of an example."""
        name = filename.removeprefix("plot_").removesuffix(".py")
        return self.NAMES.index(name) if name in self.NAMES else len(self.NAMES), name

    def __repr__(self):
        """Return the same text in every build."""
        return "<LectureOrder>"
