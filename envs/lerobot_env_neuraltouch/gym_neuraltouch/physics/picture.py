"""The picture of a physics report: force against depth of one pad."""

from pathlib import Path

from .row import Row

_COLOURS = ("#4a7ba6", "#222222", "#b5533c")


def draw_picture(rows: list[Row], path: Path) -> None:
    """Measured points on the stated stiffness, one panel per finger."""
    import matplotlib.figure

    curves = [row for row in rows if row.check == "force_depth"]
    fingers = list(dict.fromkeys(row.finger for row in curves))
    figure = matplotlib.figure.Figure(figsize=(3.6 * len(fingers), 3.2), layout="constrained")
    panels = figure.subplots(1, len(fingers), sharey=True, squeeze=False)[0]
    for panel, finger in zip(panels, fingers, strict=True):
        ours = [row for row in curves if row.finger == finger]
        tips = dict.fromkeys(row.tip_n_per_mm for row in ours if row.tip_n_per_mm is not None)
        for tip, colour in zip(tips, _COLOURS, strict=False):
            depths = [row.depth_mm for row in ours if row.tip_n_per_mm == tip]
            forces = [row.value for row in ours if row.tip_n_per_mm == tip]
            panel.plot(
                [0, 4], [0, 4 * tip], color=colour, linewidth=1, label=f"stated: {tip:.2f} N/mm"
            )
            panel.plot(depths, forces, "o", color=colour, markersize=4)
        panel.set_title(f"{finger} (dots: simulated)", fontsize=9)
        panel.set_xlabel("depth of the plate inside the undeformed skin [mm]", fontsize=8)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    panels[0].set_ylabel("force on one pad [N]", fontsize=8)
    figure.savefig(path, dpi=110)
