"""Read mesh files of any origin as one clean list of triangles.

The triangles that are left are the file's own: nothing is smoothed, thinned or closed. What changes:

- the nodes of a scene are put in place, and all files and bodies become one mesh;
- vertices that coincide become one; triangles whose corners coincide, and triangles that come twice, are left out;
- strays are left out: what a scan leaves floating around must not shift the bounding box. Parts of the surface count as
  one where they share a vertex or where their vertices come closer than GAP_SHARE of the size. A part with BODY_SHARE of
  the whole area, and always the largest, belongs to the object; a smaller one does if it is that close to such a part;
- the triangles of a part face the same way, outwards, wherever its edges tell.
"""

from pathlib import Path

import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from lerobot_neuraltouch.objects.views import make_scene, to_tensor

FORMATS = ("obj", "stl", "ply", "glb", "gltf", "off")
MERGE_SHARE = 1e-6
"""Vertices closer than this share of the size are one."""
BODY_SHARE = 0.01
"""A part with this share of the area belongs to the object, wherever it is."""
GAP_SHARE = 0.005
"""Smaller parts belong to the object if they are closer to it than this share of its size."""


def read_mesh(*paths: Path) -> trimesh.Trimesh:
    """Read the files of one object, all in the same frame and units.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a format is not read here, a file is broken, or there is no sound triangle in it.
    """
    parts = [_read_file(path) for path in paths]
    starts = np.cumsum([0] + [len(part.vertices) for part in parts])
    vertices = np.concatenate([np.asarray(part.vertices, np.float64) for part in parts])
    faces = [np.asarray(p.faces, np.int64) + n for p, n in zip(parts, starts[:-1], strict=True)]
    try:
        return clean(vertices, np.concatenate(faces))
    except ValueError as error:
        names = "', '".join(map(str, paths))
        raise ValueError(f"'{names}': {error}") from error


def _read_file(path: Path) -> trimesh.Trimesh:
    """The triangles of one file as they are written there, nodes of a scene put in place."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no mesh '{path}'.")
    if path.suffix[1:].lower() not in FORMATS:
        raise ValueError(
            f"'{path}' has a format that is not read here. Available: {', '.join(FORMATS)}."
        )
    try:
        mesh = trimesh.load(path, force="mesh", process=False)
    except Exception as error:  # readers of broken files raise anything
        raise ValueError(f"'{path}' does not load as a mesh: {error}") from error
    if not isinstance(mesh, trimesh.Trimesh) or len(mesh.faces) == 0:
        raise ValueError(f"'{path}' holds no triangles; a cloud of points has to be meshed first.")
    return mesh


def clean(vertices: np.ndarray, faces: np.ndarray) -> trimesh.Trimesh:
    """The mesh as said above, from vertices (V, 3) and triangles (F, 3).

    Raises:
        ValueError: If a triangle names no vertex, a vertex is not finite, or nothing with an area is left.
    """
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(
            f"its triangles name vertices {faces.min()} to {faces.max()}, but there are {len(vertices)}."
        )
    vertices, faces = _referenced(vertices, faces)
    broken = np.count_nonzero(~np.isfinite(vertices).all(axis=1))
    if broken:
        raise ValueError(
            f"{broken} of {len(vertices)} vertices are NaN or infinite; remove their triangles first."
        )
    vertices, faces = _merged(vertices, faces)
    faces = _without_doubles(faces)
    if not _areas(vertices, faces).any():
        raise ValueError("none of its triangles has an area.")
    faces = _turned(vertices, _without_strays(vertices, faces))
    return trimesh.Trimesh(*_referenced(vertices, faces), process=False)


def _referenced(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Only the vertices that triangles name."""
    used = np.zeros(len(vertices), dtype=bool)
    used[faces] = True
    return vertices[used], (np.cumsum(used) - 1)[faces]


def _merged(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices that coincide as one: STL writes each corner of each triangle, textures split the surface along seams."""
    # Strays far away must not make it coarse, so the middle of the vertices tells the size.
    size = np.ptp(np.quantile(vertices, [0.01, 0.99], axis=0), axis=0).max()
    step = max(MERGE_SHARE * size, 1e-9 * np.ptp(vertices, axis=0).max()) or 1.0
    grid = np.rint((vertices - vertices.min(axis=0)) / step).astype(np.int64)
    spans = grid.max(axis=0) + 1
    if np.prod(spans.astype(np.float64)) < 2.0**62:
        order = np.argsort(np.ravel_multi_index(tuple(grid.T), tuple(spans)))
    else:
        order = np.lexsort(grid.T)
    fresh = np.concatenate([[True], np.diff(grid[order], axis=0).any(axis=1)])
    number = np.empty(len(vertices), dtype=np.int64)
    number[order] = np.cumsum(fresh) - 1
    return vertices[order[fresh]], number[faces]


def _without_doubles(faces: np.ndarray) -> np.ndarray:
    """Triangles with three different corners, each once, whichever way it faces."""
    corners = np.sort(faces, axis=1)
    order = np.lexsort(corners.T)
    again = ~np.diff(corners[order], axis=0).any(axis=1)
    kept = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2])
    kept[order[1:][again]] = False
    return faces[kept]


def _areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area of each triangle."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def _labels(first: np.ndarray, second: np.ndarray, num: int) -> np.ndarray:
    """Number of the connected component of each of `num` nodes, linked in pairs."""
    links = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(num, num))
    return connected_components(links, directed=False)[1]


def _without_strays(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The triangles of the object's own parts."""
    ends = np.concatenate([faces[:, :2], faces[:, 1:]])
    part = _labels(*ends.T, len(vertices))
    if part.max() == 0:
        return faces
    area = _areas(vertices, faces)
    gap = GAP_SHARE * _size(vertices[faces].mean(axis=1), area)
    part = _joined(vertices, part, gap)
    areas = np.bincount(part[faces[:, 0]], weights=area)
    own = areas >= BODY_SHARE * areas.sum()
    own[np.argmax(areas)] = True
    if not own.all():
        body = make_scene(trimesh.Trimesh(vertices, faces[own[part[faces[:, 0]]]], process=False))
        small = np.flatnonzero(~own[part])
        distance = body.compute_distance(to_tensor(vertices[small])).numpy()
        own[part[small[distance < gap]]] = True
    return faces[own[part[faces[:, 0]]]]


def _size(places: np.ndarray, area: np.ndarray) -> float:
    """Longest side of the box around 98 % of the area in each direction, which strays cannot stretch."""
    longest = 0.0
    for values in places.T:
        order = np.argsort(values)
        share = np.cumsum(area[order]) / area.sum()
        low, high = np.searchsorted(share, [0.01, 0.99])
        longest = max(longest, float(values[order[high]] - values[order[low]]))
    return longest


def _joined(vertices: np.ndarray, part: np.ndarray, gap: float) -> np.ndarray:
    """Parts whose vertices lie in the same or touching cells of a grid as one: triangles of a soup share no vertex."""
    cells, cell = np.unique(np.floor(vertices / gap), axis=0, return_inverse=True)
    pairs = KDTree(cells).query_pairs(1.8, output_type="ndarray")
    num = int(part.max()) + 1
    first = np.concatenate([part, num + pairs[:, 0]])
    second = np.concatenate([num + cell.ravel(), num + pairs[:, 1]])
    return _labels(first, second, num + len(cells))[part]


def _turned(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Triangles turned so that neighbours face the same way, and each part of the surface outwards.

    Every triangle is in the graph twice, as it is and turned; a shared edge links what agrees. A part that can face one way
    only falls into two components, of which the one that encloses more is taken; a part that cannot stays as it is.
    """
    num = len(faces)
    one, two, agree = _neighbours(faces)
    turned_too = np.where(agree, two, two + num), np.where(agree, two + num, two)
    label = _labels(np.concatenate([one, one + num]), np.concatenate(turned_too), 2 * num)
    as_is, turned = label[:num], label[num:]
    part = np.minimum(as_is, turned)
    count = np.bincount(part, minlength=label.max() + 1)
    corners = vertices[faces]
    sums = [np.bincount(part, weights=x, minlength=len(count)) for x in corners.mean(axis=1).T]
    centre = np.stack(sums, axis=1) / np.maximum(count, 1)[:, None]
    a, b, c = np.moveaxis(corners - centre[part][:, None], 1, 0)
    volume = np.sum(np.cross(a, b) * c, axis=1) / 6.0
    # What is flat encloses nothing: there, most triangles stay as they are.
    vote = volume + 1e-9 * np.ptp(vertices, axis=0).max() ** 3 / count[part]
    score = np.bincount(as_is, weights=vote, minlength=len(count))
    score -= np.bincount(turned, weights=vote, minlength=len(count))
    wrong = (as_is != turned) & (score[turned] > score[as_is])
    return np.where(wrong[:, None], faces[:, ::-1], faces)


def _neighbours(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of triangles at the edges that exactly two share, and whether they run along it in opposite directions."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forward = ends[:, 0] < ends[:, 1]
    keys = ends.min(axis=1) * (faces.max() + 1) + ends.max(axis=1)
    order = np.argsort(keys, kind="stable")
    same = np.diff(keys[order]) == 0
    alone = np.concatenate([[True], ~same, [True]])
    start = np.flatnonzero(same & alone[:-2] & alone[2:])
    first, second = order[start], order[start + 1]
    return first % len(faces), second % len(faces), forward[first] != forward[second]
