"""Solids of revolution about z from profiles of (radius, height) points [m]."""

from typing import Any

import manifold3d
import numpy as np
import trimesh

from lerobot_neuraltouch.objects.model import to_trimesh


def fillet(
    centre: tuple[float, float], radius: float, start_deg: float, end_deg: float, num: int
) -> np.ndarray:
    """Points on an arc of a profile, both ends included, shape (num, 2); angles from the radius axis towards z."""
    angles = np.deg2rad(np.linspace(start_deg, end_deg, num))
    return np.asarray(centre) + radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def even_radius(radius: np.ndarray, num_sides: int) -> np.ndarray:
    """Corner radius of a polygon whose sides are as far outside a circle at the corners as inside at their middles."""
    return radius * 2.0 / (1.0 + np.cos(np.pi / num_sides))


def revolve(profile: np.ndarray, num_sides: int) -> manifold3d.Manifold:
    """Turn a closed profile, shape (num_points, 2), about z; facets lie evenly about the true surface."""
    corners: Any = np.column_stack([even_radius(profile[:, 0], num_sides), profile[:, 1]])
    section = manifold3d.CrossSection([corners], manifold3d.FillRule.NonZero)
    return section.revolve(circular_segments=num_sides)


def hull(points: np.ndarray) -> trimesh.Trimesh:
    """Convex hull of points, shape (num_points, 3)."""
    corners: Any = np.ascontiguousarray(points, dtype=np.float64)
    return to_trimesh(manifold3d.Manifold.hull_points(corners))


def ring(radius: np.ndarray, height: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Points of a profile at each of the angles [rad] about z, shape (num_angles * num_points, 3)."""
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y = cosine * radius, sine * radius
    return np.stack([x, y, np.broadcast_to(height, x.shape)], axis=-1).reshape(-1, 3)


def convex_slice(profile: np.ndarray, num_sides: int) -> trimesh.Trimesh:
    """Convex piece from a profile that bulges outwards everywhere, shape (num_points, 2)."""
    angles = 2.0 * np.pi * np.arange(num_sides) / num_sides
    return hull(ring(even_radius(profile[:, 0], num_sides), profile[:, 1], angles))
