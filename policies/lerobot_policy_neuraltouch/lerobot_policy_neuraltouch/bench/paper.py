"""The paper's figures, drawn beside ours. Source: arXiv:2510.20390, Tables I and II."""

TABLE1_POSITION_MM = {
    "ndf": {"mug_rim": 13.6, "mug_wall": 12.4, "right_angle_handle": 11.0,
            "horizontal_handle": 11.5, "bottle_head": 9.5, "bolt_head": 12.5},
    "rl_touch": {"mug_rim": 15.6, "mug_wall": 17.5, "right_angle_handle": 18.7,
                 "horizontal_handle": 13.9, "bottle_head": 2.9, "bolt_head": 2.6},
    "neuraltouch": {"mug_rim": 0.8, "mug_wall": 0.7, "right_angle_handle": 0.9,
                    "horizontal_handle": 1.0, "bottle_head": 0.9, "bolt_head": 0.7},
}  # fmt: skip
"""Mean position error after the grasp [mm], by method and feature."""

TABLE1_COSINE = {
    "ndf": {"mug_rim": 0.0083, "mug_wall": 0.0039, "right_angle_handle": 0.0091,
            "horizontal_handle": 0.0086, "bottle_head": 0.0069, "bolt_head": 0.0077},
    "rl_touch": {"mug_rim": 0.0029, "mug_wall": 0.0043, "right_angle_handle": 0.0060,
                 "horizontal_handle": 0.0049, "bottle_head": 0.0048, "bolt_head": 0.0027},
    "neuraltouch": {"mug_rim": 0.0006, "mug_wall": 0.0007, "right_angle_handle": 0.0008,
                    "horizontal_handle": 0.0005, "bottle_head": 0.0006, "bolt_head": 0.0005},
}  # fmt: skip
"""Mean cosine error, 1 - cos(angle), by method and feature."""

TABLE2_SUCCESS = {
    "ndf": {
        "PickPlaceMugHandle": 0.400,
        "PickPlaceMugRim": 0.567,
        "PickPlaceBottleLid": 0.517,
        "BoltOutInHole": 0.117,
    },
    "rl_touch": {
        "PickPlaceMugHandle": 0.583,
        "PickPlaceMugRim": 0.633,
        "PickPlaceBottleLid": 0.767,
        "BoltOutInHole": 0.333,
    },
    "neuraltouch": {
        "PickPlaceMugHandle": 0.950,
        "PickPlaceMugRim": 0.967,
        "PickPlaceBottleLid": 0.933,
        "BoltOutInHole": 0.867,
    },
}
"""Success rates in simulation, 60 trials each (Table II)."""
