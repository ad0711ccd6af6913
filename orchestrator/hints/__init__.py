"""Expert hints: the query once more, with what an anomaly detector, or the ground truth, says of it drawn in.

    maps or masks (`source`, `formats`) ─► one scale per product (`scale`) ─► regions, colours (`drawing`)
                                                                                      ─► PNG (`images`)

No hint tells the label by anything but what is drawn: there is one beside every query, of the query's size,
as a PNG, with the same caption. Nothing is stretched image by image: the scale of a product's maps is taken
over all of them, so that a detector's faint noise on a flawless part stays faint.
"""
