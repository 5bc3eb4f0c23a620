"""Plugs: prongs as the standards have them, heads as on bolts."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lerobot_neuraltouch.objects.plug import PLUG_KINDS, make_plug


def section_bounds(mesh, z: float) -> list[np.ndarray]:
    """Sizes and middles of the closed curves in which a plane cuts a mesh, each of shape (2, 2)."""
    curves = mesh.section(plane_origin=(0, 0, z), plane_normal=(0, 0, 1)).discrete
    spans = [(curve[:, :2].min(axis=0), curve[:, :2].max(axis=0)) for curve in curves]
    return sorted(([high - low, (low + high) / 2] for low, high in spans), key=lambda s: s[1][0])


def test_a_usb_plug_is_a_shell_of_12_by_4_5_mm() -> None:
    mesh = make_plug("usb", "test", 0).mesh
    ((size, middle),) = section_bounds(mesh, 0.006)
    assert_allclose(size, (0.012, 0.0045), atol=1e-6)
    assert_allclose(middle, 0.0, atol=1e-6)


def test_a_mains_plug_has_two_pins_of_4_mm_18_6_mm_apart() -> None:
    (left, middle_left), (right, middle_right) = section_bounds(
        make_plug("plug", "test", 0).mesh, 0.010
    )
    assert_allclose([left, right], 0.004, atol=1e-4)
    assert_allclose(middle_right - middle_left, (0.0186, 0.0), atol=1e-6)


@pytest.mark.parametrize("kind", PLUG_KINDS)
def test_fingers_have_room_and_the_neck_covers_the_prongs(kind: str) -> None:
    """A finger at the ideal contact ends 18 mm below the head's top; the panel is where the prongs begin."""
    prong = PLUG_KINDS[kind].prong_m
    for index in range(20):
        plug = make_plug(kind, "train", index)
        assert plug.mesh.bounds[1, 2] - prong > 0.018 + 0.005
        widest = max(np.linalg.norm(p.outline, axis=1).max() for p in PLUG_KINDS[kind].prongs)
        neck = max(size.max() for size, _ in section_bounds(plug.mesh, prong + 0.001))
        assert neck > 2 * widest
        assert plug.feature("bolt_head").finger_distance_m + 0.04 < 0.1


def test_streams_repeat_and_differ() -> None:
    """The same plug for the same number; another one in another split, of another kind, under another number."""
    bounds = [
        make_plug(*key).mesh.bounds
        for key in (("usb", "test", 3), ("usb", "test", 3), ("usb", "val", 3), ("usb", "test", 4))
    ]
    assert_allclose(bounds[0], bounds[1], rtol=0)
    assert not np.allclose(bounds[0], bounds[2])
    assert not np.allclose(bounds[0], bounds[3])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (("jack", "test", 0), "Unknown plug 'jack'. Available: plug, usb"),
        (("usb", "live", 0), "Unknown split 'live'"),
        (("usb", "test", -1), "at least 0, got -1"),
    ],
)
def test_what_does_not_exist_is_refused(key: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_plug(*key)
